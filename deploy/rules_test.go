package deploy_test

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"netmirror/outcome"
)

const (
	rulesFile     = "prometheus/netmirror.rules.yml"
	rulesTestFile = "prometheus/netmirror.rules.test.yml"
)

type alert struct {
	Alert       string
	Expr        string
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func readRules(t *testing.T) []alert {
	t.Helper()
	data, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil {
		t.Fatalf("%s: %v", rulesFile, err)
	}
	var all []alert
	for _, g := range f.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// TestRules sees that every alert says what to do, in the words of the problem
// that it is about, and that there is one for every loss.
func TestRules(t *testing.T) {
	all, missing := problems(), problems()
	for _, a := range readRules(t) {
		summary, description := a.Annotations["summary"], a.Annotations["description"]
		if !strings.Contains(summary, "{{ $labels.instance }}") || description == "" {
			t.Errorf("%s: summary %q, description %q", a.Alert, summary, description)
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) {
			t.Errorf("%s: severity %q", a.Alert, a.Labels["severity"])
		}
		id, about := a.Labels["problem"]
		if !about {
			continue
		}
		p, ok := all[id]
		if !ok {
			t.Errorf("%s: there is no problem %q", a.Alert, id)
		}
		delete(missing, id)
		if !strings.Contains(description, p.Remedy()) {
			t.Errorf("%s: the description is\n%s\nand lacks the remedy of %s:\n%s", a.Alert, description, id, p.Remedy())
		}
	}
	for id, p := range missing {
		if p.Severity() == outcome.Loss && id != "idle" { // which may be wanted
			t.Errorf("no alert has the problem %s", id)
		}
	}
	test, err := os.ReadFile(rulesTestFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range readRules(t) {
		if !strings.Contains(string(test), `{alertname="`+a.Alert+`"}`) {
			t.Errorf("%s does not make %s fire", rulesTestFile, a.Alert)
		}
	}
}

// problems are all that there are, by name.
func problems() map[string]outcome.Problem {
	all := make(map[string]outcome.Problem)
	for p := range outcome.NumProblems {
		all[p.String()] = p
	}
	return all
}

// TestPromtool has Prometheus' own tool read the rules and run their tests.
func TestPromtool(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no promtool: sh e2e/deps.sh installs it")
		}
		t.Skip("no promtool: sh e2e/deps.sh installs it")
	}
	for _, args := range [][]string{{"check", "rules", rulesFile}, {"test", "rules", rulesTestFile}} {
		if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
