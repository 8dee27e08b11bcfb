package deploy_test

import (
	"fmt"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"netmirror/bridge"
	"netmirror/outcome"
	"netmirror/status"
)

// served is what a netmirror serves at /metrics: the values of the labels that
// say a kind of thing, "" where there are none, by metric.
func served(t *testing.T) map[string]map[string]bool {
	t.Helper()
	b, err := bridge.New(bridge.Config{Target: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	monitor := status.NewMonitor(status.Config{Source: status.Source{
		Snapshot: func() status.Snapshot {
			return status.Snapshot{Time: time.Now(), Bridge: b.Stats(), Services: []status.Service{{Name: "42:8080"}}}
		},
	}})
	w := httptest.NewRecorder()
	status.NewMetrics().Handler(monitor).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	found := make(map[string]map[string]bool)
	sample := regexp.MustCompile(`^([a-z_0-9]+)(?:\{.*?(?:reason|outcome|result)="([^"]*)".*\})?`)
	for line := range strings.Lines(w.Body.String()) {
		if m := sample.FindStringSubmatch(line); m != nil {
			if found[m[1]] == nil {
				found[m[1]] = make(map[string]bool)
			}
			found[m[1]][m[2]] = true
		}
	}
	if len(found) < 60 {
		t.Fatalf("only %d metrics served:\n%s", len(found), w.Body)
	}
	return found
}

// bare is a histogram's name for one of its samples, else the name.
func bare(name string) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if short, ok := strings.CutSuffix(name, suffix); ok && strings.HasSuffix(short, "_seconds") {
			return short
		}
	}
	return name
}

// TestMetricNames sees that every metric that is written of is one that
// netmirror serves.
func TestMetricNames(t *testing.T) {
	names := make(map[string]bool)
	for name := range served(t) {
		names[name], names[bare(name)] = true, true
	}
	word := regexp.MustCompile(`\bnetmirror_[a-z][a-z0-9_]*`)
	for path, text := range texts(t, "grafana", "prometheus", "kubernetes", "terraform", "../docs") {
		for _, name := range word.FindAllString(text, -1) {
			if !names[name] {
				t.Errorf("%s: netmirror has no metric %s", path, name)
			}
		}
	}
}

// TestExpressions looks into the expressions of the dashboard and of the rules:
// every metric of them is served, and every reason and outcome is one of that
// metric's.
func TestExpressions(t *testing.T) {
	have := served(t)
	metric := regexp.MustCompile(`\b((?:netmirror|go|process)_[a-z0-9_]+)(\{[^}]*\})?`)
	matcher := regexp.MustCompile(`\b(?:reason|outcome|result)(?:=|!=|=~|!~)"([^"]*)"`)
	all := expressions(t)
	if len(all) < 60 {
		t.Fatalf("only %d expressions found", len(all))
	}
	for where, expr := range all {
		for _, m := range metric.FindAllStringSubmatch(expr, -1) {
			values, ok := have[m[1]]
			if !ok {
				t.Errorf("%s: nothing serves %s: %s", where, m[1], expr)
			}
			for _, v := range matcher.FindAllStringSubmatch(m[2], -1) {
				for value := range strings.SplitSeq(v[1], "|") {
					if !values[value] {
						t.Errorf("%s: %s has no %s: %s", where, m[1], value, expr)
					}
				}
			}
		}
	}
}

// TestLossesAreThoseOfNetmirror sees that expressions that leave out what is harmless
// leave out all of it, and nothing else.
func TestLossesAreThoseOfNetmirror(t *testing.T) {
	harmless := map[string]string{}
	for d := range outcome.NumDrops {
		if d.Harmless() {
			harmless["reason"] += "|" + d.String()
		}
	}
	for e := range outcome.NumStreamEnds {
		if e.Harmless() {
			harmless["outcome"] += "|" + e.String()
		}
	}
	found := 0
	for where, expr := range expressions(t) {
		for _, m := range regexp.MustCompile(`\b(reason|outcome)!~"([^"]*)"`).FindAllStringSubmatch(expr, -1) {
			found++
			if want := harmless[m[1]][1:]; m[2] != want {
				t.Errorf("%s leaves out %s, want %s", where, m[2], want)
			}
		}
	}
	if found < 3 {
		t.Errorf("only %d expressions leave something out", found)
	}
}

// expressions are all of the dashboard and of the rules, by where they are.
func expressions(t *testing.T) map[string]string {
	all := make(map[string]string)
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			all[fmt.Sprintf("dashboard, %s, %s", p.Title, target.RefID)] = target.Expr
		}
	}
	for _, r := range readRules(t) {
		all["rule "+r.Alert] = r.Expr
	}
	return all
}
