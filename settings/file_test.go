package settings

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jessevdk/go-flags"
)

const packagedConfig = "../deploy/package/netmirror.conf"

// fileSettings are the flags that a configuration file may set, by section.name.
func fileSettings(t *testing.T) map[string]*flags.Option {
	t.Helper()
	c, err := parseCall("netmirror", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]*flags.Option)
	for _, g := range c.parser.Groups() {
		for _, section := range g.Groups() {
			for _, opt := range section.Options() {
				if opt.Field().Tag.Get("no-ini") == "" {
					found[section.ShortDescription+"."+opt.LongName] = opt
				}
			}
		}
	}
	return found
}

// required are the settings that have no default, as a test fills them in.
var required = map[string]string{"iface": "eth9", "vni": "42", "port": "8080", "to": "shadow.example:80"}

// TestPackagedConfig: the file that a package installs names every setting,
// in its section and with its default, as a comment, and nothing else.
func TestPackagedConfig(t *testing.T) {
	text, err := os.ReadFile(packagedConfig)
	if err != nil {
		t.Fatal(err)
	}
	want := fileSettings(t)
	section := ""
	documented := false // the line before was a sentence
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
		case strings.HasPrefix(line, "# ") || line == "#" || line == "":
		case !strings.HasPrefix(line, "#"):
			t.Errorf("line %d is in force: %s", i+1, line)
		default:
			name, value, ok := strings.Cut(line[1:], "=")
			name, value = strings.TrimSpace(name), strings.TrimSpace(value)
			opt := want[section+"."+name]
			if !ok || opt == nil {
				t.Errorf("line %d names no setting of [%s], or one twice: %s", i+1, section, line)
				continue
			}
			delete(want, section+"."+name)
			def := strings.Join(opt.Default, ",")
			if _, isBool := opt.Value().(bool); isBool {
				def = "false"
			}
			if value != def {
				t.Errorf("line %d: the default is %q: %s", i+1, def, line)
			}
			if !documented {
				t.Errorf("line %d: no word on what it is: %s", i+1, line)
			}
		}
		documented = strings.HasPrefix(line, "# ")
	}
	if len(want) > 0 {
		t.Errorf("it leaves out %q", slices.Sorted(maps.Keys(want)))
	}
}

// TestPackagedConfigIsRead: as it is, it says that an interface is missing;
// with the required lines filled in, and with all the others in force too, it
// makes the same settings as flags do.
func TestPackagedConfigIsRead(t *testing.T) {
	text, err := os.ReadFile(packagedConfig)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "netmirror.conf")
	read := func(s string) (*Options, error) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		return parse(t, nil, "--config", path)
	}
	if _, err := read(string(text)); err == nil || !strings.Contains(err.Error(), "--iface") {
		t.Errorf("as installed: %v, want the missing interface", err)
	}
	filled := regexp.MustCompile(`(?m)^#([a-z]+) =$`).ReplaceAllStringFunc(string(text), func(line string) string {
		name := strings.TrimSuffix(line[1:], " =")
		if value, ok := required[name]; ok {
			return name + " = " + value
		}
		return line
	})
	var args []string
	for name, value := range required {
		args = append(args, "--"+name+"="+value)
	}
	want, err := parse(t, nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	want.Run.Config = path
	for what, s := range map[string]string{
		"filled in": filled,
		"in force":  regexp.MustCompile(`(?m)^#([a-z])`).ReplaceAllString(filled, "$1"),
	} {
		got, err := read(s)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Options{})); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}

func TestSettings(t *testing.T) {
	o, err := parse(t, nil, append([]string{"--vni", "43", "--gap-timeout", "2000ms", "--idle-timeout", "600s"}, fourFlags...)...)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]Setting)
	for _, s := range o.InForce() {
		all[s.Flag] = s
	}
	for _, want := range []Setting{
		{Flag: "vni", Value: "43,42"}, {Flag: "iface", Value: "eth9"}, {Flag: "gap-timeout", Value: "2s"},
		{Flag: "idle-timeout", Value: "10m0s", Default: true}, {Flag: "http", Default: true}, {Flag: "workers", Value: "0", Default: true},
		{Flag: "ready-drops", Value: "false", Default: true}, {Flag: "stats-interval", Value: "1m0s", Default: true},
	} {
		if got := all[want.Flag]; got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	for _, flag := range []string{"version", "help-man"} {
		if _, ok := all[flag]; ok {
			t.Errorf("--%s is no setting", flag)
		}
	}
}

// TestOwnSettings is about what a section gives beside the selection and the target, with the
// values as the log and the page show them.
func TestOwnSettings(t *testing.T) {
	o, err := parse(t, nil, "--iface", "eth9", "--sample", "50%", "--config", config(t, "[Service shop]\nvni=42\nport=80\nto=tls://a:80\nto=tls://b:80\n"+
		"sample=10%\nwrite-timeout=90s\nmark=0x10\nonly-path=/a\nonly-path=/b\nclients=192.0.2.0/24\ntls-insecure=true\n[Service mail]\nvni=any\nport=25\nto=m:25\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Setting{
		{Service: "shop", Flag: "write-timeout", Value: "1m30s"}, {Service: "shop", Flag: "mark", Value: "16"},
		{Service: "shop", Flag: "tls-insecure", Value: "true"}, {Service: "shop", Flag: "sample", Value: "10%"},
		{Service: "shop", Flag: "clients", Value: "192.0.2.0/24"}, {Service: "shop", Flag: "only-path", Value: "/a,/b"},
	}
	if got := o.OwnSettings(); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
