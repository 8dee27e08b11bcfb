package status

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"netmirror/decap"
	"netmirror/defrag"
	"netmirror/outcome"
)

// keys are what the log has of ends and reasons.
func keys() map[string]bool {
	all := make(map[string]bool)
	for e := range outcome.NumStreamEnds {
		all["end_"+e.String()] = true
	}
	for d := range outcome.NumDrops {
		all["drop_"+d.String()] = true
	}
	for r := decap.OK + 1; r < decap.NumReasons; r++ {
		all["drop_"+r.String()] = true
	}
	for d := range defrag.Drops {
		all["drop_fragment_"+d.String()], all["drop_inner_fragment_"+d.String()] = true, true
	}
	return all
}

// TestDocsNameWhatThereIs sees that every end_ and drop_ of the texts is a key of the
// log, or, before an ellipsis or an angle bracket, begins some.
func TestDocsNameWhatThereIs(t *testing.T) {
	files, err := filepath.Glob("../docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	all, seen := keys(), make(map[string]bool)
	for _, file := range append(files, "../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\b((?:end|drop)_[a-z_-]*)([…<])?`).FindAllStringSubmatch(string(text), -1) {
			key := m[1]
			seen[key] = true
			begins := func(known string) bool { return strings.HasPrefix(known, key) }
			if !all[key] && !(strings.HasSuffix(key, "_") && slices.ContainsFunc(slices.Collect(maps.Keys(all)), begins)) {
				t.Errorf("%s: there is no %s", file, key)
			}
		}
	}
	if len(seen) < 20 {
		t.Errorf("the texts name only %v", seen)
	}
}

// TestLifeOfAFlowHasEveryEnd sees that the table of how a stream ends is complete, and
// says by which ends the connection is over as well. error is of no flow.
func TestLifeOfAFlowHasEveryEnd(t *testing.T) {
	text, err := os.ReadFile("../docs/life-of-a-flow.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## How a stream ends\n")
	section, _, _ = strings.Cut(section, "\n## ")
	got := make(map[string]bool) // whether what comes next may be of the same connection
	for _, m := range regexp.MustCompile("(?m)^\\| (`.*?`) \\|.*\\| ([^|]*) \\|$").FindAllStringSubmatch(section, -1) {
		for name := range strings.SplitSeq(m[1], ", ") {
			got[strings.Trim(name, "`")] = strings.HasPrefix(m[2], "pickup")
		}
	}
	want := make(map[string]bool)
	for e := range outcome.EndFailed {
		want[e.String()] = !e.Final()
	}
	if !maps.Equal(got, want) {
		t.Errorf("the table has %v, want %v", got, want)
	}
}
