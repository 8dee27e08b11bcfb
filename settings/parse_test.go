package settings

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netmirror/requests"
	"netmirror/wire"
)

var fourFlags = []string{"--iface", "eth9", "--vni", "42", "--port", "8080", "--to", "host:80"}

// parse is Parse with an environment of its own. The flags' own
// variables are read by go-flags, from the process.
func parse(t *testing.T, env map[string]string, args ...string) (*Options, error) {
	t.Helper()
	for name, value := range env {
		if strings.HasPrefix(name, "NETMIRROR_") {
			t.Setenv(name, value)
		}
	}
	return Parse(Call{Program: "/usr/bin/netmirror", Args: args, Getenv: func(name string) string { return env[name] }, Stdout: io.Discard})
}

func TestCalls(t *testing.T) {
	type env = map[string]string
	for _, tc := range []struct {
		name string
		env  env
		args []string
		want func(o *Options) bool
	}{
		{"four flags", nil, fourFlags, func(o *Options) bool {
			return slices.Equal(o.Capture.Iface, []string{"eth9"}) && slices.Equal(o.Selection.VNI, vnis{"42"}) && o.Selection.Port == "8080" && slices.Equal(o.Target.To, targets{"host:80"})
		}},
		{"the drop-in call", nil, []string{"eth9", "42", "8080", "host:80"}, func(o *Options) bool {
			return slices.Equal(o.Capture.Iface, []string{"eth9"}) && slices.Equal(o.Selection.VNI, vnis{"42"}) && o.Selection.Port == "8080" && slices.Equal(o.Target.To, targets{"host:80"})
		}},
		{"the environment alone", env{"NETMIRROR_IFACE": "eth9", "NETMIRROR_VNI": "42,43", "NETMIRROR_PORT": "8080", "NETMIRROR_TO": "host:80"}, nil, func(o *Options) bool {
			return slices.Equal(o.Capture.Iface, []string{"eth9"}) && slices.Equal(o.Selection.VNI, vnis{"42", "43"}) && o.Selection.Port == "8080" && slices.Equal(o.Target.To, targets{"host:80"})
		}},
		{"VNI 0 is legal", nil, []string{"eth9", "0", "8080", "host:80"}, func(o *Options) bool { return slices.Equal(o.Selection.VNI, vnis{"0"}) }},
		{"an IPv6 target", nil, []string{"eth9", "0", "8080", "[2001:db8::1]:80"}, func(o *Options) bool { return slices.Equal(o.Target.To, targets{"[2001:db8::1]:80"}) }},
		{"the variables of vxlan-to-http", env{"MAX_PENDING_PACKETS": "7", "MAX_RETRIES": "0", "NUM_THREADS": "3", "RUST_LOG": "debug"},
			[]string{"eth9", "42", "8080", "host:80"}, func(o *Options) bool {
				return o.Fidelity.MaxPendingPackets == 7 && o.Target.MaxRetries == 0 && o.Run.Threads == 3 && o.Reporting.LogLevel == "debug"
			}},
		{"flags win over them", env{"MAX_PENDING_PACKETS": "7", "MAX_RETRIES": "0", "NUM_THREADS": "3", "RUST_LOG": "debug"},
			append(slices.Clone(fourFlags), "--max-pending-packets=8", "--max-retries=9", "--threads=1", "--log-level=error"), func(o *Options) bool {
				return o.Fidelity.MaxPendingPackets == 8 && o.Target.MaxRetries == 9 && o.Run.Threads == 1 && o.Reporting.LogLevel == "error"
			}},
		{"RUST_LOG with directives", env{"RUST_LOG": "vxlan_to_http=trace,WARN"}, fourFlags, func(o *Options) bool { return o.Reporting.LogLevel == "warn" }},
		{"RUST_LOG for a module alone", env{"RUST_LOG": "vxlan_to_http=error"}, fourFlags, func(o *Options) bool { return o.Reporting.LogLevel == "error" }},
		{"RUST_LOG that says nothing", env{"RUST_LOG": "vxlan_to_http"}, fourFlags, func(o *Options) bool { return o.Reporting.LogLevel == "info" }},
		{"the VNI more than once, long and short", nil, append([]string{"--vni=1", "-n", "2"}, fourFlags...), func(o *Options) bool {
			return slices.Equal(o.Selection.VNI, vnis{"1", "2", "42"})
		}},
		{"what becomes of requests", env{"NETMIRROR_ONLY_PATH": "/api,/v2"},
			append([]string{"--mark-requests=X-Shadow: 1, 2", "--mark-requests=X-By: a", "--only-host=example.com, .example.org", "--only-host=::1"}, fourFlags...), func(o *Options) bool {
				return cmp.Equal(o.Services[0].Settings.Requests, requests.Config{Marks: []string{"X-Shadow: 1, 2", "X-By: a"},
					Paths: []string{"/api", "/v2"}, Hosts: []string{"example.com", ".example.org", "::1"}})
			}},
		{"a value below 0", nil, append([]string{"--nice", "-5"}, fourFlags...), func(o *Options) bool { return o.Run.Nice == -5 }},
		{"no packet may wait", env{"NETMIRROR_MAX_PENDING_PACKETS": "0"}, fourFlags, func(o *Options) bool {
			return o.Fidelity.MaxPendingPackets == 0
		}},
		{"a mirror of any encapsulation", nil, fourFlags, func(o *Options) bool {
			return cmp.Equal(o.Mirror(), wire.Mirror{})
		}},
		{"--vxlan-port", nil, append([]string{"--vxlan-port=8472"}, fourFlags...), func(o *Options) bool {
			return cmp.Equal(o.Mirror(), wire.Mirror{Ports: []uint16{8472}}) && o.Mirror().UDP()[0].Encap == wire.EncapVXLAN
		}},
		{"--vxlan-port where GENEVE is usual", nil, append([]string{"--vxlan-port=6081"}, fourFlags...), func(o *Options) bool {
			return slices.Equal(o.Mirror().UDP(), []wire.UDPPort{{Port: 6081, Encap: wire.EncapVXLAN}})
		}},
		{"--mirror-port", env{"NETMIRROR_MIRROR_PORT": "4789,6081,7000"}, fourFlags, func(o *Options) bool {
			return slices.Equal(o.Mirror().UDP(), []wire.UDPPort{{Port: 4789, Encap: wire.EncapVXLAN}, {Port: 6081, Encap: wire.EncapGeneve}, {Port: 7000, Encap: wire.EncapVXLAN}})
		}},
		{"--encap with a port of its own", nil, append([]string{"--encap=geneve", "--mirror-port=7000,7001", "--mirror-port", "7002"}, fourFlags...), func(o *Options) bool {
			return slices.Equal(o.Mirror().UDP(), []wire.UDPPort{{Port: 7000, Encap: wire.EncapGeneve}, {Port: 7001, Encap: wire.EncapGeneve}, {Port: 7002, Encap: wire.EncapGeneve}}) && !o.Mirror().GRE()
		}},
		{"--encap none needs no VNI", nil, []string{"--iface=eth9", "--encap=none", "--port=8080", "--to=host:80"}, func(o *Options) bool {
			return o.Mirror().Bare() && slices.Equal(o.VNIs(), []uint32{0})
		}},
		{"a flag wins over its variable", env{"NETMIRROR_GAP_TIMEOUT": "5s"}, append(slices.Clone(fourFlags), "--gap-timeout=2s"), func(o *Options) bool {
			return o.Fidelity.GapTimeout == 2*time.Second
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, err := parse(t, tc.env, tc.args...)
			if err != nil {
				t.Fatal(err)
			}
			if !tc.want(o) {
				t.Errorf("%+v", *o)
			}
		})
	}
}

// TestConfigFile says which source of a setting wins.
func TestConfigFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "netmirror.conf")
	text := "\xef\xbb\xbf[Capture]\r\niface = eth9\r\n\n[Selection]\nvni = 42\nvni = 43\nport = 8080\n[Target]\nto = host:80\nmax-retries = 4\n" +
		"[Fidelity]\ngap-timeout = 2s\non-gap = splice\n[Reporting]\nready-drops = true\nhttp = :0\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := parse(t, map[string]string{"NETMIRROR_ON_GAP": "reset", "NETMIRROR_GAP_TIMEOUT": "3s", "MAX_RETRIES": "7"},
		"--config", path, "--gap-timeout=4s")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.Capture.Iface, []string{"eth9"}) || !slices.Equal(o.Selection.VNI, vnis{"42", "43"}) || o.Selection.Port != "8080" || !o.Reporting.ReadyDrops {
		t.Errorf("the file's settings are not in force: %+v", *o)
	}
	if o.Fidelity.OnGap != "reset" {
		t.Error("a variable does not win over the file")
	}
	if o.Fidelity.GapTimeout != 4*time.Second {
		t.Error("a flag does not win over its variable and the file")
	}
	if o.Target.MaxRetries != 7 {
		t.Error("a variable of vxlan-to-http does not win over the file")
	}
	if o.Fidelity.MaxPendingPackets != 128 {
		t.Error("what the file leaves out has not its default")
	}
}

func TestWrongConfigFiles(t *testing.T) {
	for text, want := range map[string]string{
		"[Capture]\nifce = eth0\n":      ":2: unknown option: ifce",
		"[Selection]\n\nport = 99999\n": ":3: port \"99999\"",
		"[Captures]\niface = eth0\n":    "no such section: `Captures'",
		"[Running]\nversion = true\n":   "unknown option",
		"iface\n":                       "netmirror.conf:1",
		"[Fidelity]\ngap-timeout = 1s\n# gap-timeout = 3s\ngap-timeout = 2s\n": ":4: gap-timeout is in line 2 too",
		"[Selection]\nport = 1\n[Selection]\nport = 2\n":                       ":4: port is in line 2 too",
		"[Reporting]\nhttp-pprof = yes\n":                                      `:2: "yes" is neither true nor false (http-pprof in [Reporting])`,
		"[Running]\nthreads = 1 # two\n":                                       `:2: "1 # two" is not a whole number; a comment needs a line of its own (threads in [Running])`,
		"[Service a]\ntls-insecure = maybe\n":                                  `:2: "maybe" is neither true nor false (tls-insecure in [Service a])`,
		"[Reporting]\nhttp-pprof =\n":                                          ":2: no value",
		strings.Repeat("#\n", 1<<20):                                           "too long",
	} {
		path := filepath.Join(t.TempDir(), "netmirror.conf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := parse(t, nil, "--config", path); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want one line with %q", text, err, want)
		}
	}
	if _, err := parse(t, nil, "--config", t.TempDir()); err == nil || !strings.Contains(err.Error(), "is not an ordinary file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := parse(t, nil, "--config", "/nowhere/netmirror.conf", "--version"); err != ErrShown {
		t.Errorf("--version with a file that is missing: %v", err)
	}
	if _, err := parse(t, nil, "--config", "/nowhere/netmirror.conf"); err == nil || !strings.Contains(err.Error(), "/nowhere/netmirror.conf: no such file or directory; correct the path") {
		t.Errorf("no such file: %v", err)
	}
}

// An interface that a file or a variable leaves empty is missing, as other settings are.
func TestEmptyInterface(t *testing.T) {
	path := filepath.Join(t.TempDir(), "netmirror.conf")
	if err := os.WriteFile(path, []byte("[Capture]\niface =\n[Selection]\nvni = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = "no interface: give the one that the mirror packets arrive on with --iface; "
	if _, err := parse(t, nil, "--config", path, "--to=a:1"); err == nil || !strings.HasPrefix(err.Error(), want+"no port") {
		t.Errorf("in the file: %v", err)
	}
	if _, err := parse(t, map[string]string{"NETMIRROR_IFACE": ""}, "--vni=1", "--port=1"); err == nil || !strings.HasPrefix(err.Error(), want+"no target") {
		t.Errorf("in the variable: %v", err)
	}
}

// TestCheckNeedsTheInterfaceAlone: all else can be found out.
func TestCheckNeedsTheInterfaceAlone(t *testing.T) {
	o, err := parse(t, nil, "check", "--iface", "eth9", "--time", "3s")
	if err != nil {
		t.Fatal(err)
	}
	if o.Check == nil || o.Check.Time != 3*time.Second {
		t.Errorf("%+v", o.Check)
	}
	if _, err := parse(t, nil, "check"); err == nil || !strings.Contains(err.Error(), "--iface") {
		t.Errorf("without an interface: %v", err)
	}
	if _, err := parse(t, nil, "check", "--iface=lo", "--to=nowhere"); err == nil || !strings.Contains(err.Error(), "HOST:PORT") {
		t.Errorf("with a wrong target: %v", err)
	}
}

func TestWrongCalls(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want string // in the message
	}{
		{"nothing", nil, "--iface"},
		{"nothing, all of which is needed", nil, "--iface; no VNI: give the mirror session's network identifier with --vni; no port: give the service's original TCP port, 1 to 65535, with --port; no target: give the shadow service as --to HOST:PORT"},
		{"two of them", []string{"--iface=lo", "--port=1"}, "with --vni; no target"},
		{"a URL", []string{"--iface=lo", "--vni=1", "--port=1", "--to=https://a"}, `target "https://a": HTTP is forwarded as bytes, so a target is not a URL of HTTP; write tls://a:443, or HOST:PORT`},
		{"a URL with a port", []string{"--iface=lo", "--forward=1:1=http://a:80/x"}, "write a:80"},
		{"profiles without --http", append([]string{"--http-pprof"}, fourFlags...), "--http-pprof: nothing is served without --http"},
		{"readiness without --http", append([]string{"--ready-drops"}, fourFlags...), "--ready-drops: nothing is served without --http"},
		{"no VNI", []string{"--iface=lo", "--port=1", "--to=a:1"}, "--vni"},
		{"no port", []string{"--iface=lo", "--vni=1", "--to=a:1"}, "--port"},
		{"no target", []string{"--iface=lo", "--vni=1", "--port=1"}, "--to"},
		{"a VNI of 25 bits", []string{"lo", "16777216", "80", "a:1"}, "16777215"},
		{"port 0", []string{"lo", "1", "0", "a:1"}, "65535"},
		{"port 65536", []string{"--iface=lo", "--vni=1", "--port=65536", "--to=a:1"}, "65535"},
		{"a target without a port", []string{"lo", "1", "80", "a"}, "HOST:PORT"},
		{"a target without a host", []string{"lo", "1", "80", ":80"}, "HOST:PORT"},
		{"a target with a bad port", []string{"lo", "1", "80", "a:http"}, "65535"},
		{"three words", []string{"lo", "1", "80"}, "four"},
		{"flags and words", append([]string{"lo", "1", "80", "a:1"}, "--stats-interval=1s"), "do not mix"},
		{"a word behind check", []string{"check", "lo"}, "check takes no words; give the interface as --iface lo"},
		{"vxlan-to-http's four words behind check", []string{"check", "eth0", "42", "80", "host:80"}, "check takes no words; give --iface eth0 --vni 42 --port 80 --to host:80"},
		{"a file behind check", []string{"check", "mirror.pcap"}, "check takes no words; give the capture file as --read mirror.pcap"},
		{"a file that is there, behind check", []string{"check", "../capfile/testdata/micro.pcap", "--iface=lo"}, "--read ../capfile/testdata/micro.pcap"},
		{"a status page at no port", append([]string{"--http=:99999"}, fourFlags...), `--http :99999: port "99999" is not a number from 0 to 65535`},
		{"a status page at a word", append([]string{"--http=foo:bar"}, fourFlags...), `--http foo:bar: port "bar" is not a number from 0 to 65535`},
		{"a status page as a target is written", append([]string{"--http=unix:///tmp/s"}, fourFlags...), "--http unix:///tmp/s: for a unix socket, write its path alone: --http /tmp/s"},
		{"a status page at a name of a socket", append([]string{"--http=unix:@s"}, fourFlags...), "write its path alone: --http /PATH"},
		{"a status page everywhere", append([]string{"--http=*:9394"}, fourFlags...), "write 0.0.0.0:9394 for all addresses of IPv4, or [::]:9394 for"},
		{"words and flags behind check", []string{"check", "lo", "42", "--port=80"}, "check takes no words; give the interface as --iface lo"},
		{"an unknown encapsulation", append([]string{"--encap=l2tp"}, fourFlags...), "--encap"},
		{"a VNI without an encapsulation", append([]string{"--encap=none"}, fourFlags...), "--encap none: the packets have no VNI; leave --vni out, or give 0"},
		{"a port of GRE", append([]string{"--encap=gre", "--mirror-port=4789"}, fourFlags...), "--encap gre has no UDP port"},
		{"a port of ERSPAN", append([]string{"--encap=erspan", "--vxlan-port=4790"}, fourFlags...), "--encap erspan has no UDP port"},
		{"ports of two kinds", append([]string{"--vxlan-port=8472", "--mirror-port=4789"}, fourFlags...), "give all UDP ports with --mirror-port"},
		{"a port that is none", append([]string{"--mirror-port=4789,0"}, fourFlags...), "port \"0\""},
		{"too many ports", append(slices.Repeat([]string{"--mirror-port=4789"}, 17), fourFlags...), "the limit is 16"},
		{"a header line without a colon", append([]string{"--mark-requests=X-Shadow"}, fourFlags...), "write NAME: VALUE"},
		{"two header lines in one", append([]string{"--mark-requests=X-Shadow: 1\r\nHost: a"}, fourFlags...), "one line"},
		{"a header that frames a request", append([]string{"--mark-requests=Content-Length: 1"}, fourFlags...), "cannot be added"},
		{"header lines that are too long", append(slices.Repeat([]string{"--mark-requests=X: " + strings.Repeat("a", 3000)}, 2), fourFlags...), "4096 is the most"},
		{"a list of no path", append([]string{"--only-path=,"}, fourFlags...), "an empty list"},
		{"a filter of a shell's empty variable", append([]string{"--only-path="}, fourFlags...), "--only-path is empty; leave it out if everything is to pass"},
		{"one beside another", append([]string{"--clients", "10.0.0.0/8", "--clients", ""}, fourFlags...), "--clients is empty"},
		{"no port in one of two", append([]string{"--port="}, fourFlags...), "--port is empty; give it a value, or leave it out"},
		{"no VNI in the flag", append([]string{"--vni", ""}, fourFlags...), "--vni is empty; "},
		{"no target in the flag", []string{"--iface=lo", "--vni=1", "--port=1", "--to="}, "--to is empty; "},
		{"no service in the flag", []string{"--iface=lo", "--forward", "", "--forward=1:1=a:1"}, "--forward is empty; "},
		{"no port of the mirror in the flag", append([]string{"--mirror-port="}, fourFlags...), "--mirror-port is empty; "},
		{"no interface in the flag", append([]string{"-i", ""}, fourFlags...), "--iface is empty; "},
		{"a path without a slash", append([]string{"--only-path=/api,v2"}, fourFlags...), `path "v2"`},
		{"a host with a port", append([]string{"--only-host=example.com:80"}, fourFlags...), "no port"},
		{"a host with an asterisk", append([]string{"--only-host=*.example.com"}, fourFlags...), "write .example.com"},
		{"an unknown flag", append([]string{"--foo"}, fourFlags...), "foo"},
		{"a time without a unit", append([]string{"--gap-timeout=1"}, fourFlags...), `"1" has no unit; write 1s, or 1ms`},
		{"a word for a time", append([]string{"--gap-timeout=soon"}, fourFlags...), `"soon" is not a time like 500ms, 2s or 10m`},
		{"a unit that no time has", append([]string{"--gap-timeout=2days"}, fourFlags...), `"2days" is not a time like 500ms, 2s or 10m`},
		{"a word for a number", append([]string{"--nice=high"}, fourFlags...), `"high" is not a whole number`},
		{"a negative number", append([]string{"--max-retries=-1"}, fourFlags...), "--max-retries -1: need 0 to 30"},
		{"no flows", append([]string{"--max-flows=0"}, fourFlags...), "--max-flows 0: need 1 to 16777216"},
		{"no memory for attempts", append([]string{"--max-half-open=0"}, fourFlags...), "--max-half-open 0: need 1 to"},
		{"no connections", append([]string{"--max-conns=-5"}, fourFlags...), "--max-conns -5: need 1 to"},
		{"a flow that holds no packet", append([]string{"--flow-kib=63"}, fourFlags...), "--flow-kib 63: need 64 to 1048576"},
		{"a flow of more than 1 GiB", append([]string{"--flow-kib=1048577"}, fourFlags...), "--flow-kib 1048577: need 64 to 1048576"},
		{"more memory than there can be", append([]string{"--total-mib=99999999999"}, fourFlags...), "--total-mib 99999999999: need 16 to 1048576"},
		{"a number that no int holds", append([]string{"--total-mib=99999999999999999999"}, fourFlags...), "--total-mib': \"99999999999999999999\" is out of range; need 16 to 1048576; see"},
		{"a ring beyond 2 GiB", append([]string{"--ring-mib=2049"}, fourFlags...), "--ring-mib 2049: need 1 to 2048"},
		{"too much time to connect in", append([]string{"--dial-timeout=2562047h47m16.854775807s"}, fourFlags...), "--dial-timeout 2562047h47m16.854775807s: need 1ns to 24h0m0s"},
		{"no time to connect in", append([]string{"--dial-timeout=0s"}, fourFlags...), "--dial-timeout 0s: must be more than 0"},
		{"a negative time", append([]string{"--shutdown-timeout=-1s"}, fourFlags...), "--shutdown-timeout -1s: must not be negative"},
		{"a time that is too long", append([]string{"--busy-poll=2s"}, fourFlags...), "--busy-poll 2s: need 0s to 1s"},
		{"figures all the time", append([]string{"--stats-interval=99ms"}, fourFlags...), "--stats-interval 99ms: need 0 or at least 100ms"},
		{"ports one by one", append([]string{"--port=8081"}, fourFlags...), "); write --port 8081,"},
		{"a single dash", append([]string{"-sample", "10%"}, fourFlags...), "unknown flag `s'; did you mean --sample? See "},
		{"a flag twice", append([]string{"--gap-timeout=1s", "--gap-timeout=2s"}, fourFlags...), "--gap-timeout is given 2 times (1s, 2s); leave all but one out"},
		{"a flag twice with the same value", append([]string{"--max-conns=5", "--max-conns=5"}, fourFlags...), "--max-conns is given 2 times"},
		{"a flag twice, once short", append([]string{"-p", "80"}, fourFlags...), "--port is given 2 times (80, 8080)"},
		{"a switch twice", append([]string{"--http-pprof", "--http-pprof"}, fourFlags...), "--http-pprof is given 2 times"},
		{"check's own flag twice", []string{"check", "--iface=lo", "--time=1s", "--time=2s"}, "--time is given 2 times (1s, 2s)"},
		{"sockets for GRE", append([]string{"--capture=udp", "--encap=gre"}, fourFlags...), "--encap gre comes in IP itself, not in UDP; use --capture ring, which takes CAP_NET_RAW, or have"},
		{"sockets for ERSPAN", append([]string{"--capture=udp", "--encap=erspan"}, fourFlags...), "--encap erspan comes in IP itself, not in UDP; use --capture ring"},
		{"sockets for bare frames", []string{"--capture=udp", "--encap=none", "--port=80", "--to=a:80"}, "--encap none has the mirrored frames as they are, which no socket receives; use --capture ring"},
		{"check by sockets of GRE", []string{"check", "--capture=udp", "--encap=gre"}, "--encap gre comes in IP itself, not in UDP; use --capture ring"},
		{"any interface and one more", append([]string{"--iface=any"}, fourFlags...), "any is all of them"},
		{"an interface twice", append([]string{"--iface=eth0", "--iface=eth0"}, fourFlags...), "eth0 is given twice"},
		{"check of any interface", []string{"check", "--iface=any"}, "give the one that the mirror packets arrive on"},
		{"any VNI and one more", []string{"--vni=any,42", "--iface=lo", "--port=80", "--to=a:80"}, `VNI "any" is all of them; leave the others out`},
		{"any VNI and one more, apart", append([]string{"--vni=any"}, fourFlags...), `VNI "any" is all of them; leave the others out`},
		{"a word behind version", []string{"version", "foo"}, "version takes no words"},
		{"help for no command", []string{"help", "foo"}, `no command is called "foo"; there are check and replay`},
		{"help for two commands", []string{"help", "check", "replay"}, "help takes one word"},
		{"a flag before and behind check", []string{"--iface=lo", "check", "--iface=lo"}, "--iface is given 2 times"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var stdout bytes.Buffer
			_, err := Parse(Call{Program: "netmirror", Args: tc.args, Getenv: func(string) string { return "" }, Stdout: &stdout})
			if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), tc.want) || stdout.Len() > 0 {
				t.Errorf("%v, and %q; want one line with %q", err, stdout.String(), tc.want)
			}
		})
	}
}

// A terminal has 80 columns, and words that were divided cannot be copied.
func TestHelpFitsATerminal(t *testing.T) {
	for _, c := range []struct {
		args      []string
		with, not string
	}{
		{[]string{"--help"}, "--speed=N", "replay-OPTIONS"},
		{[]string{"replay", "-h"}, "--speed=N", "--time=TIME"},
		{[]string{"check", "--help"}, "--time=TIME", "--speed=N"},
		{[]string{"--vni=1", "--help"}, "[auto|vxlan|vxlan-gpe|geneve|", "help-man"},
	} {
		var stdout bytes.Buffer
		if _, err := Parse(Call{Program: "/usr/bin/netmirror", Args: c.args, Getenv: func(string) string { return "" }, Stdout: &stdout}); err != ErrShown {
			t.Errorf("%q: %v", c.args, err)
		}
		help := stdout.String()
		for line := range strings.Lines(help) {
			if len(line) > 80+len("\n") || strings.HasSuffix(line, "-\n") {
				t.Errorf("%q: the line %q", c.args, line)
			}
		}
		if !strings.Contains(help, c.with) || strings.Contains(help, c.not) {
			t.Errorf("%q: %q with %q or without %q", c.args, help, c.not, c.with)
		}
		for _, opt := range fileSettings(t) {
			want := c.args[0] != "replay" || !slices.Contains(ofCapture, opt.LongName)
			if listed := regexp.MustCompile(`(?m)^ .*--` + opt.LongName + `(=|$)`).MatchString(help); listed != want {
				t.Errorf("%q: --%s is there: %v, want %v", c.args, opt.LongName, listed, want)
			}
		}
	}
}
