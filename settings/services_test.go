package settings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netmirror/requests"
)

// told is the services of a call, one on each line.
func told(o *Options) string {
	var lines []string
	for _, s := range o.Services {
		lines = append(lines, fmt.Sprintf("%s: %s=%s", s.Name, s.Selection, s.Target))
	}
	return strings.Join(lines, "\n")
}

func TestServicesOfACall(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want []string
	}{
		{"the simple call", []string{"--vni=42", "--port=8080", "--to=a:80"}, []string{"42:8080: 42:8080=a:80"}},
		{"lists", []string{"--vni=43,42", "--vni=7", "--port=8081,8080,9000-9010", "--to=a:80"}, []string{"7,42,43:8080-8081,9000-9010: 7,42,43:8080-8081,9000-9010=a:80"}},
		{"any network", []string{"--vni=any", "--port=8080", "--to=a:80"}, []string{"any:8080: any:8080=a:80"}},
		{"several targets", []string{"--vni=42", "--port=8080", "--to=a:80", "--to=b:80"}, []string{"42:8080=a:80: 42:8080=a:80", "42:8080=b:80: 42:8080=b:80"}},
		{"several services", []string{"--forward=42:8080=a:80", "-f", "any:80,90-99=[2001:db8::1]:80"}, []string{"42:8080: 42:8080=a:80", "any:80,90-99: any:80,90-99=[2001:db8::1]:80"}},
		{"named", []string{"--forward=shop=42:8080=a:80", "--forward=my shop, 2=any:80,90-99=[2001:db8::1]:80", "--forward=43:8080=a:80"},
			[]string{"shop: 42:8080=a:80", "my shop, 2: any:80,90-99=[2001:db8::1]:80", "43:8080: 43:8080=a:80"}},
		{"a name that is a number", []string{"--forward=42=42:8080=a:80"}, []string{"42: 42:8080=a:80"}},
		{"a name with two targets", []string{"--forward=shop=42:8080=a:80", "--forward=shop=42:8080=b:80"}, []string{"shop=a:80: 42:8080=a:80", "shop=b:80: 42:8080=b:80"}},
		{"one of two targets", []string{"--forward=42:8080=a:80", "--forward=42:8080=b:80", "--forward=43:8080=b:80"},
			[]string{"42:8080=a:80: 42:8080=a:80", "42:8080=b:80: 42:8080=b:80", "43:8080: 43:8080=b:80"}},
	} {
		o, err := parse(t, nil, append([]string{"--iface=lo"}, tc.args...)...)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if got := told(o); got != strings.Join(tc.want, "\n") {
			t.Errorf("%s:\n%s\nwant:\n%s", tc.name, got, strings.Join(tc.want, "\n"))
		}
	}
}

// A check of several services has each; one of a single service finds out the rest.
func TestCheckedServices(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--vni=42", "--port=80,81", "--to=a:80"}, ""},
		{[]string{"--forward=shop=42:80=a:80"}, "shop: 42:80=a:80"},
		{[]string{"--forward=42:80=a:80", "--forward=any:81=b:80"}, "42:80: 42:80=a:80\nany:81: any:81=b:80"},
		{[]string{"--port=80", "--to=a:80", "--to=b:80"}, "port 80=a:80: any:80=a:80\nport 80=b:80: any:80=b:80"},
		{[]string{"--config", config(t, "[Service shop]\nvni=42\nport=80\nto=a:80\n[Service mail]\nvni=any\nport=25\nto=m:25\n")}, "shop: 42:80=a:80\nmail: any:25=m:25"},
	} {
		o, err := parse(t, nil, append([]string{"check", "--iface=lo"}, tc.args...)...)
		if err != nil {
			t.Errorf("%q: %v", tc.args, err)
			continue
		}
		if got := told(o); got != tc.want {
			t.Errorf("%q:\n%s\nwant:\n%s", tc.args, got, tc.want)
		}
	}
}

func TestWrongServices(t *testing.T) {
	many := []string{"--vni=42", "--port=80"}
	for i := range 101 {
		many = append(many, fmt.Sprintf("--to=a:%d", i+1))
	}
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"no target", []string{"--forward=42:8080"}, "is not VNIS:PORTS=TARGET"},
		{"no target behind a name", []string{"--forward=shop=42:8080"}, "is not VNIS:PORTS=TARGET"},
		{"a name alone", []string{"--forward=shop=a:80"}, "is not VNIS:PORTS=TARGET"},
		{"an empty name", []string{"--forward==42:80=a:80"}, "the name of the service is missing before ="},
		{"a name that breaks lines", []string{"--forward=a\nb=42:80=a:80"}, `the service's name "a\nb" contains characters that cannot be printed`},
		{"a name that is no text", []string{"--forward=\xff=42:80=a:80"}, "contains characters that cannot be printed"},
		{"a name without end", []string{"--forward=" + strings.Repeat("x", 101) + "=42:80=a:80"}, "has 101 bytes; the limit is 100"},
		{"a name twice", []string{"--forward=shop=42:80=a:80", "--forward=shop=43:80=a:80"}, "two services are called"},
		{"a port that is none", []string{"--forward=42:http=a:80"}, `port "http"`},
		{"a VNI that is none", []string{"--forward=x:80=a:80"}, `VNI "x"`},
		{"any and others", []string{"--vni=any", "--vni=42", "--port=80", "--to=a:80"}, `VNI "any"`},
		{"a range that runs backwards", []string{"--vni=42", "--port=90-80", "--to=a:80"}, "write 80-90"},
		{"a target without a port", []string{"--forward=42:80=a"}, "HOST:PORT"},
		{"the second target without a port", []string{"--vni=42", "--port=80", "--to=a:80", "--to=b"}, `"b"`},
		{"a name for two selections", []string{"--forward=a=42:80=x:80", "--forward=a=42:81=y:80"}, `two services are called "a"; give one of them another name`},
		{"twice the same", []string{"--forward=42:80,81=a:80", "--forward=42:81,80=a:80"}, "42:80-81=a:80 is given twice"},
		{"a target twice", []string{"--vni=42", "--port=80", "--to=a:80", "--to=a:80"}, "42:80=a:80 is given twice"},
		{"both ways", []string{"--forward=42:80=a:80", "--to=b:80"}, "use one or the other"},
		{"both ways, of which one is a VNI", []string{"--forward=42:80=a:80", "--vni=42"}, "use one or the other"},
		{"too many", many, "101 services, counting each target; the limit is 100"},
		{"a share that is none", []string{"--vni=42", "--port=80", "--to=a:80", "--sample=10"}, `share "10"`},
		{"a client that is none", []string{"--vni=42", "--port=80", "--to=a:80", "--clients=10.0.0.0/8,x"}, `"x" is neither an address nor a network`},
		{"a VNI where there is none", []string{"--encap=none", "--forward=any:80=a:80", "--forward=42:80=a:80"}, "the packets have no VNI"},
		{"check of several targets of what is not given", []string{"check", "--to=a:80", "--to=b:80"}, "no port"},
		{"check with a share that is none", []string{"check", "--sample=10"}, "did you mean 10%?"},
		{"check of one twice", []string{"check", "--forward=42:80=a:80", "--forward=42:80=a:80"}, "42:80=a:80 is given twice"},
	} {
		args := append([]string{"--iface=lo"}, tc.args...)
		if tc.args[0] == "check" {
			args = append(slices.Clone(tc.args), "--iface=lo")
		}
		if _, err := parse(t, nil, args...); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q", tc.name, err, tc.want)
		}
	}
}

// config writes a file of settings.
func config(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "netmirror.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A section has settings of its own in place of those that are everybody's.
func TestSections(t *testing.T) {
	o, err := parse(t, nil, "--iface=lo", "--write-timeout=4s", "--config", config(t, `[Target]
max-retries = 5
[Service shop]
vni = 42
vni = 43
port = 8080,9000-9010
to = a:80
to = b:80
sample = 10%
sample-by = client
clients = 10.0.0.0/8
on-gap = splice
max-retries = 0
mark-requests = X-Shadow: 1
only-path = /api, /v2
# a comment
[Requests]
mark-requests = X-By: netmirror; 1
only-host = example.com
[Selection]
forward = any:70=c:70
exclude-clients = 10.0.0.7, 10.0.0.8
[ service  the other one ]
vni = any
port = 443
to = a:443
midstream = off
write-timeout = 3s
`))
	if err != nil {
		t.Fatal(err)
	}
	want := `any:70: any:70=c:70
shop=a:80: 42,43:8080,9000-9010=a:80
shop=b:80: 42,43:8080,9000-9010=b:80
the other one: any:443=a:443`
	if got := told(o); got != want {
		t.Errorf("services:\n%s\nwant:\n%s", got, want)
	}
	first, shop, other := &o.Services[0].Settings, &o.Services[2].Settings, &o.Services[3].Settings
	if first.MaxRetries != 5 || first.Sample != "all" || first.OnGap != "reset" || first.WriteTimeout != 4*time.Second {
		t.Errorf("the service of a line: %+v", first)
	}
	if shop.MaxRetries != 0 || shop.Sample != "10%" || shop.SampleBy != "client" || !slices.Equal(shop.Clients, []string{"10.0.0.0/8"}) || shop.OnGap != "splice" || shop.Midstream != "http" || len(shop.ExcludeClients) != 1 {
		t.Errorf("shop: %+v", shop)
	}
	if got := shop.Requests; !cmp.Equal(got, requests.Config{Marks: []string{"X-Shadow: 1"}, Paths: []string{"/api", "/v2"}, Hosts: []string{"example.com"}}) {
		t.Errorf("shop's requests: %+v", got)
	}
	if got := other.Requests; !cmp.Equal(got, requests.Config{Marks: []string{"X-By: netmirror; 1"}, Hosts: []string{"example.com"}}) {
		t.Errorf("the other one's requests: %+v", got)
	}
	if other.Midstream != "off" || other.WriteTimeout != 3*time.Second || other.MaxRetries != 5 || other.Clients != nil {
		t.Errorf("the other one: %+v", other)
	}
}

func TestWrongSections(t *testing.T) {
	const right = "vni = 42\nport = 80\nto = a:80\n"
	for text, want := range map[string]string{
		"[Service shop\n" + right:                                                ":1: [Service shop does not end as a section does",
		"[Service shop] # web\n" + right:                                         ":1: [Service shop] # web does not end as a section does",
		"[Service]\n" + right:                                                    ":1: [Service] has no name",
		"\n[Service shop]\nvni = 42\nfoo = 1\n":                                  ":4: unknown option: foo",
		"[Service shop]\nvni = x\n":                                              `:2: VNI "x"`,
		"[Service shop]\nport = 80\nto = a:80\n":                                 "netmirror.conf:1: [Service shop]: no VNI",
		"[Service shop]\nvni = 42\nto = a:80\n":                                  "[Service shop]: no port",
		"[Service shop]\nvni = 42\nport = 80\n":                                  "[Service shop]: no target",
		"[Service shop]\nport = 80\n":                                            "[Service shop]: no VNI: give vni, or any; no target",
		"[Service shop]\n" + right + "port = 81\n":                               ":5: port is in line 3 too",
		"[Service shop]\n" + right + "max-retries = 31\n":                        "[Service shop]: --max-retries 31: need 0 to 30",
		"[Service shop]\n" + right + "dial-timeout = 0s\n":                       "[Service shop]: --dial-timeout 0s: must be more than 0",
		"[Service shop]\n" + right + "to = a:80\n":                               "netmirror.conf:1); leave one of them out",
		"[Service a]\n" + right + "to = b\n":                                     `target "b"`,
		"[Service a]\n" + right + "[Selection]\nvni = 42\n":                      "use one or the other (vni in [Selection] of ",
		"[Service a]\n" + right + "\n[Service b]\nvni = 1\nport = 2\nto = a:x\n": `netmirror.conf:6: [Service b]: target "a:x": port "x"`,
		"[Service a]\n" + right + "[Servce b]\n" + right:                         "netmirror.conf:5: no such section: `Servce b'",
		"[Reporting]\nhttp = :9093\n":                                            "no target: give the shadow service as --to HOST:PORT; or set it in ",
		"[Services a]\n" + right:                                                 "no such section",
		"[Service a]\n" + right + "[Service a]\nvni=1\nport=1\nto=a:1":           ":5: [Service a] is in line 1 too; give one of them another name",
	} {
		_, err := parse(t, nil, "--iface=lo", "--config", config(t, text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want one line with %q", text, err, want)
		}
	}
}

// Two services that are the same are found in a long file by their lines.
func TestPlacesOfEqualServices(t *testing.T) {
	const service = "vni = 42\nport = 80\nto = a:80\n"
	path := config(t, "[Service shop]\n"+service+"\n[Service b]\n"+service)
	want := fmt.Sprintf("42:80=a:80 is given twice (in %s:1 and %[1]s:6); leave one of them out", path)
	if _, err := parse(t, nil, "--iface=lo", "--config", path); err == nil || err.Error() != want {
		t.Errorf("two sections: %v, want %s", err, want)
	}
	path = config(t, "[Service shop]\n"+service)
	want = fmt.Sprintf("42:80=a:80 is given twice (in --forward and %s:1); leave one of them out", path)
	if _, err := parse(t, nil, "--iface=lo", "--config", path, "--forward=42:80=a:80"); err == nil || err.Error() != want {
		t.Errorf("a flag and a section: %v, want %s", err, want)
	}
}

// What the kernel hands over is enough for each service.
func TestCapturedIsAll(t *testing.T) {
	o, err := parse(t, nil, "--iface=lo", "--forward=42:80=a:80", "--forward=7,43:80-90,100=a:80")
	if err != nil {
		t.Fatal(err)
	}
	if got := o.Captured().String(); got != "7,42,43:80-90,100" {
		t.Errorf("captured: %s", got)
	}
	if o, err = parse(t, nil, "--iface=lo", "--forward=42:80=a:80", "--forward=any:81=a:80"); err != nil || !o.Captured().VNIs.Any() {
		t.Errorf("with any network: %v, %v", o.Captured(), err)
	}
}

// A file that is read again says what the services are from now on, and what would need a
// restart; one that is wrong says where.
func TestAgain(t *testing.T) {
	path := config(t, "[Capture]\niface = lo\n[Service shop]\nvni = 42\nport = 80\nto = a:80\n")
	call := Call{Program: "netmirror", Args: []string{"--config", path, "--workers=2"}, Getenv: func(string) string { return "" }, Stdout: os.Stderr}
	was, err := Parse(call)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, text      string
		services, flags string
		wrong           []string
	}{
		{"another service", "[Capture]\niface = lo\n[Service shop]\nvni = 42\nport = 80\nto = a:80\n[Service mail]\nvni = any\nport = 25\nto = a:25\nmax-rate = 50\n",
			"shop: 42:80=a:80\nmail: any:25=a:25", "", nil},
		{"what all services have", "[Capture]\niface = lo\n[Target]\nwrite-timeout = 1s\n[Selection]\nmax-rate = 5\nsample = 1/2\n[Service shop]\nvni = 42\nport = 80\nto = a:80\n",
			"shop: 42:80=a:80", "", nil},
		{"how all targets are reached, and requests", "[Capture]\niface = lo\n[Target]\nproxy-protocol = v2\nsource-address = 192.0.2.1\nmark = 7\n" +
			"tls-insecure = true\ntls-name = b\n[Requests]\nmark-requests = X-Shadow: 1\nonly-path = /api\nonly-host = b\n[Service shop]\nvni = 42\nport = 80\nto = tls://a:80\n",
			"shop: 42:80=tls://a:80", "", nil},
		{"what needs a restart", "[Capture]\niface = eth9\n[Reporting]\nhttp = :9\n[Running]\nworkers = 7\n[Service shop]\nvni = 42\nport = 81\nto = a:80\n",
			"shop: 42:81=a:80", "iface,http", nil}, // --workers wins over the file
		{"a wrong key", "[Capture]\niface = lo\n[Service shop]\nvni = 42\nprot = 80\nto = a:80\n", "", "", []string{path + ":5: ", "prot", "[Service shop]"}},
		{"a wrong value", "[Capture]\niface = lo\n[Service shop]\nvni = 42\nport = x\nto = a:80\n", "", "", []string{path + ":5: ", "port in [Service shop]"}},
		{"a wrong rate", "[Capture]\niface = lo\n[Service shop]\nvni = 42\nport = 80\nto = a:80\nmax-rate = -1\n", "", "", []string{"[Service shop]", "--max-rate -1: need 0 to 1000000"}},
		{"a file of TLS that is not there", "[Capture]\niface = lo\n[Service shop]\nvni = 42\nport = 80\nto = tls://a:80\ntls-ca = /nowhere/ca.pem\n", "", "",
			[]string{"service shop", "--tls-ca", "/nowhere/ca.pem: no such file"}},
		{"no target", "[Capture]\niface = lo\n[Service shop]\nvni = 42\nport = 80\n", "", "", []string{"[Service shop]", "no target"}},
	} {
		if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		is, err := Again(call, was)
		if tc.wrong != nil {
			for _, want := range tc.wrong {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v, without %q", tc.name, err, want)
				}
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if got := told(is); got != tc.services {
			t.Errorf("%s:\n%s\nwant:\n%s", tc.name, got, tc.services)
		}
		if got := strings.Join(was.NeedRestart(is), ","); got != tc.flags {
			t.Errorf("%s: a restart for %q, want %q", tc.name, got, tc.flags)
		}
	}
	was.Run.Config = ""
	if _, err := Again(call, was); !errors.Is(err, ErrNoFile) {
		t.Errorf("without a file: %v", err)
	}
}
