package deploy_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const userDataFile = "terraform/user_data.sh.tftpl"

// TestTerraform sees that each variable is declared and used, that the template
// gets what it asks for, and that the settings it writes are settings.
func TestTerraform(t *testing.T) {
	files, err := filepath.Glob("terraform/*.tf")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	code := ""
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		code += string(data)
	}
	set := func(re, text string) map[string]bool {
		found := make(map[string]bool)
		for _, m := range regexp.MustCompile(re).FindAllStringSubmatch(text, -1) {
			found[m[1]] = true
		}
		return found
	}
	same := func(what string, a, b map[string]bool) {
		if !maps.Equal(a, b) {
			t.Errorf("%s: %v and %v", what, slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)))
		}
	}
	same("variables declared and used", set(`(?m)^variable "(\w+)"`, code), set(`\bvar\.(\w+)`, code))
	declared := set(`(?m)^(?:resource|data) "(\w+" "\w+)"`, code)
	for used := range set(`\b(aws_\w+\.\w+)\b`, code) {
		kind, name, _ := strings.Cut(used, ".")
		if !declared[kind+`" "`+name] {
			t.Errorf("there is no %s", used)
		}
	}
	data, err := os.ReadFile(userDataFile)
	if err != nil {
		t.Fatal(err)
	}
	template := string(data)
	_, call, _ := strings.Cut(code, userDataFile[len("terraform/"):])
	call, _, _ = strings.Cut(call, "})")
	same("what the template gets and asks for", set(`(?m)^\s+(\w+)\s+=`, call), set(`\$\{(\w+)\}`, template))

	_, conf, _ := strings.Cut(template, "<<CONF\n")
	conf, _, ok := strings.Cut(conf, "\nCONF\n")
	if !ok {
		t.Fatal("there is no configuration in the template")
	}
	sections, section := readFlags(t).sections, ""
	for line := range strings.Lines(conf) {
		line = strings.TrimSpace(line)
		if key, _, ok := strings.Cut(line, " = "); ok && !sections[section][key] {
			t.Errorf("[%s] has no key %q", section, key)
		} else if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
		}
	}
}
