package deploy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// flags are the long names and the environment variables of settings/options.go, and the
// sections of the configuration file with the keys that they have.
type flagNames struct {
	long, env map[string]bool
	sections  map[string]map[string]bool
}

func readFlags(t *testing.T) flagNames {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../settings/options.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := flagNames{map[string]bool{"help": true}, make(map[string]bool), make(map[string]map[string]bool)}
	groups := make(map[string]string) // the struct types by section
	keys := make(map[string][]string) // by struct type
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		of, ok := spec.Type.(*ast.StructType)
		if !ok {
			return false
		}
		for _, field := range of.Fields.List {
			if field.Tag == nil {
				continue
			}
			text, _ := strconv.Unquote(field.Tag.Value)
			tag := reflect.StructTag(text)
			if group, ok := tag.Lookup("group"); ok {
				groups[group] = field.Type.(*ast.Ident).Name
			}
			if long, ok := tag.Lookup("long"); ok {
				names.long[long] = true
				if tag.Get("no-ini") == "" {
					keys[spec.Name.Name] = append(keys[spec.Name.Name], long)
				}
			}
			if env, ok := tag.Lookup("env"); ok {
				names.env[env] = true
			}
		}
		return false
	})
	for section, of := range groups {
		names.sections[section] = make(map[string]bool)
		for _, key := range keys[of] {
			names.sections[section][key] = true
		}
	}
	if len(names.env) < 30 || len(names.long) <= len(names.env) || len(names.sections) < 7 {
		t.Fatalf("found only %d flags, %d variables, %d sections in settings/options.go", len(names.long), len(names.env), len(names.sections))
	}
	return names
}

var (
	// program is a program whose flags are written of: netmirror, or another
	// one, whose flags are none of ours.
	program = regexp.MustCompile(`\b(netmirror|apt|apt-get|aws|curl|docker|dnf|dpkg|ethtool|gcloud|git|go|gofmt|hclfmt|ip|journalctl|kubectl|kustomize|make|mktemp|nft|nfpm|perf|podman|promtool|rpm|runc|setpriv|sha256sum|ss|sysctl|systemctl|systemd-analyze|tc|tcpdump|terraform|useradd)\b`)
	// others are flags that are written of with no program named before them.
	others   = []string{"cap-add", "cap-drop", "network", "publish", "read-only", "security-opt", "user"}
	longFlag = regexp.MustCompile(`(^|[^-\w])--([a-z][a-z-]*[a-z])`)
	variable = regexp.MustCompile(`\bNETMIRROR_[A-Z][A-Z_]*[A-Z]\b`)
	goOn     = regexp.MustCompile(`\\\n\s*`)
)

// TestFlags sees that every flag and every variable that is written of exists. A
// flag is another program's where that program is the last one named before it
// on the line.
func TestFlags(t *testing.T) {
	names := readFlags(t)
	for path, text := range texts(t, "grafana", "prometheus", "kubernetes", "kustomize", "terraform", "systemd", "package", "../docs", "../README.md") {
		for line := range strings.Lines(goOn.ReplaceAllString(text, " ")) {
			for _, m := range longFlag.FindAllStringSubmatchIndex(line, -1) {
				programs := program.FindAllString(line[:m[0]], -1)
				if n := len(programs); n > 0 && (programs[n-1] != "netmirror" || slices.Contains([]string{"aws", "gcloud"}, programs[0])) { // to which it is a name
					continue
				}
				if flag := line[m[4]:m[5]]; !names.long[flag] && !slices.Contains(others, flag) {
					t.Errorf("%s: netmirror has no --%s: %s", path, flag, strings.TrimSpace(line))
				}
			}
		}
		for _, name := range variable.FindAllString(text, -1) {
			if !names.env[name] {
				t.Errorf("%s: netmirror reads no variable %s", path, name)
			}
		}
	}
}
