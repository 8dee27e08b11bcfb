package status

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"netmirror/bridge"
	"netmirror/decap"
	"netmirror/defrag"
	"netmirror/outcome"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

const referenceFile = "../docs/metrics.md"

// TestReference sees that docs/metrics.md is what the code says. With -update it
// writes the file.
func TestReference(t *testing.T) {
	want := reference(t)
	if *update {
		if err := os.WriteFile(referenceFile, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not of this code: go test ./status -run TestReference -update\n%s", referenceFile, diff)
	}
}

const referenceHead = `# Metrics

What ` + "`--http`" + ` serves at ` + "`/metrics`" + `. This page is generated from the code:

    go test ./status -run TestReference -update

Every counter counts since the start. There is no label for a client, a flow or a host: the number of series does not depend on the traffic.
` + "`service`" + ` is a service: its name, or else its selection, with the target if it has several. Metrics without this label
cover all services together.
[deploy/prometheus](../deploy/prometheus/netmirror.rules.yml) has alerts. [deploy/grafana](../deploy/grafana/netmirror.json) has a dashboard to import, with a row for each
chosen service. [troubleshooting.md](troubleshooting.md) says what to do.

    scrape_configs:
      - job_name: netmirror
        static_configs:
          - targets: ["10.0.0.5:9090"]

`

// reference is the page.
func reference(t *testing.T) string {
	var w strings.Builder
	w.WriteString(referenceHead)
	writeHeadline(t, &w)
	writeMetrics(t, &w)
	w.WriteString("\n## How they add up\n\nWhenever nothing is being worked on,\n\n")
	for _, line := range identities(t) {
		w.WriteString("    " + line + "\n")
	}
	w.WriteString("\nEach name stands for the sum over its labels. When a reload removes a service, its `service_` series end, but the other metrics keep what it\ncounted. So a line with both kinds holds only until then.\n")
	for _, s := range []struct {
		title, metric, head string
		meanings            []meaning
	}{
		{"Reasons of the stack", "netmirror_stack_dropped_packets_total` and `netmirror_stack_dropped_bytes_total", "loss", stackReasons(t)},
		{"Outcomes", "netmirror_bridge_streams_ended_total", "loss", bridgeOutcomes(t)},
		{"Reasons of the decapsulation", "netmirror_decap_dropped_packets_total", "may be ours", decapReasons(t)},
		{"Fragments of the mirror's packets", "netmirror_tap_dropped_fragments_total", "loss", fragmentReasons(t, outcome.ProblemFragments)},
		{"Fragments of mirrored packets", "netmirror_defrag_dropped_fragments_total", "loss", fragmentReasons(t, outcome.ProblemInnerFragments)},
	} {
		fmt.Fprintf(&w, "\n## %s\n\n`%s`\n\n| value | %s | meaning | what to do |\n|---|---|---|---|\n", s.title, s.metric, s.head)
		for _, m := range s.meanings {
			loss := ""
			if m.loss {
				loss = "yes"
			}
			fmt.Fprintf(&w, "| `%s` | %s | %s | %s |\n", m.name, loss, m.text, m.remedy)
		}
	}
	return w.String()
}

// writeHeadline writes what the headline is, as its code has it, and the places.
func writeHeadline(t *testing.T, w *strings.Builder) {
	w.WriteString("## The headline\n\n")
	text := typeDoc(t, "delivery.go", "Delivery")
	text = regexp.MustCompile(` \(\[[^)]*\)`).ReplaceAllString(text, "")
	w.WriteString(text)
	w.WriteString("\n| `place` | lost bytes | reasons | what to do |\n|---|---|---|---|\n")
	for at := outcome.PlaceNone + 1; at < outcome.NumPlaces; at++ {
		var reasons []string
		for d := range outcome.NumDrops {
			if d.Place() == at {
				reasons = append(reasons, "`"+d.String()+"`")
			}
		}
		if at == outcome.PlaceNetmirror {
			reasons = append(reasons, "`head_too_large`", "`ambiguous`")
		}
		fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", at, at.Text(), strings.Join(reasons, ", "), at.Remedy())
	}
	w.WriteString(`
A missing byte counts as lost in the ring if the ring dropped packets in the 15 s before, else at the interface if that did, else before this host. A
dropped packet explains no more bytes than it can have held. The reasons are those of the stack, below, and those of ` + "`netmirror_service_left_out_bytes_total`" + `. ` + "`gap` and `replaced` count" + `
at the place where the missing bytes were lost. Bytes that came after a stream was given up count under the reason for that.

## All metrics

`)
}

// typeDoc is the comment of a type.
func typeDoc(t *testing.T, file, name string) string {
	for _, d := range parse(t, file).Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE && g.Specs[0].(*ast.TypeSpec).Name.Name == name {
			return g.Doc.Text()
		}
	}
	t.Fatalf("%s has no type %s", file, name)
	return ""
}

// writeMetrics writes the tables of what the registry has.
func writeMetrics(t *testing.T, w *strings.Builder) {
	b, err := bridge.New(bridge.Config{Target: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	m := NewMetrics()
	m.Handler(NewMonitor(Config{Source: Source{
		Snapshot: func() Snapshot {
			return Snapshot{Time: time.Now(), Bridge: b.Stats(), Services: []Service{{Name: "42:8080"}}}
		},
	}}))
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var histograms []string
	w.WriteString("| metric | type | label | meaning |\n|---|---|---|---|\n")
	for _, f := range families {
		kind := strings.ToLower(f.GetType().String())
		if !strings.HasPrefix(f.GetName(), "netmirror_") {
			continue // of Prometheus' own library, and other ones with another version
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", f.GetName(), kind, strings.Join(labels, ", "), f.GetHelp())
		if kind != "histogram" {
			continue
		}
		var buckets []string
		for _, bucket := range f.GetMetric()[0].GetHistogram().GetBucket() {
			buckets = append(buckets, fmt.Sprint(bucket.GetUpperBound()))
		}
		histograms = append(histograms, fmt.Sprintf("`%s`: %s s.", f.GetName(), strings.Join(buckets, ", ")))
	}
	w.WriteString("\nBuckets of " + strings.Join(histograms, "\nOf ") + "\n`result` is `ok` or `error`.\n")
	w.WriteString("\nThere are Prometheus' usual `process_…` and `go_…` too, `process_resident_memory_bytes` for one.\n")
}

// identities are the lines in the comment of metrics.
func identities(t *testing.T) (lines []string) {
	for _, d := range parse(t, "metrics.go").Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR && strings.HasPrefix(g.Doc.Text(), "metrics are") {
			for line := range strings.Lines(g.Doc.Text()) {
				if line, ok := strings.CutPrefix(line, "\t"); ok {
					lines = append(lines, strings.TrimSpace(line))
				}
			}
		}
	}
	if len(lines) < 4 {
		t.Fatalf("found only %q in the comment of metrics", lines)
	}
	return lines
}

// meaning is what a value of a label means.
type meaning struct {
	name, text string
	loss       bool
	remedy     string
}

// stackReasons, bridgeOutcomes, decapReasons and fragmentReasons take the meanings
// out of the comments at the constants.
func stackReasons(t *testing.T) (all []meaning) {
	for i, c := range constants(t, "../outcome/drop.go", "Drop", "NumDrops") {
		d := outcome.Drop(i)
		all = append(all, meaning{d.String(), c.text, !d.Harmless(), d.Words().Remedy})
	}
	return all
}

func bridgeOutcomes(t *testing.T) (all []meaning) {
	for i, c := range constants(t, "../outcome/end.go", "End", "EndNotOpened") {
		e := outcome.End(i)
		all = append(all, meaning{e.String(), c.text, !e.Harmless(), e.Words().Remedy})
	}
	return all
}

func decapReasons(t *testing.T) (all []meaning) {
	list := constants(t, "../decap/reason.go", "Reason", "NumReasons")
	for i, c := range list[1:] { // without OK
		r := decap.Reason(i + 1)
		all = append(all, meaning{r.String(), inNames(c.text, list, func(i int) string { return decap.Reason(i).String() }), r.Broken(), r.Words().Remedy})
	}
	return all
}

func fragmentReasons(t *testing.T, p outcome.Problem) (all []meaning) {
	for i, c := range constants(t, "../defrag/stats.go", "Drop", "Drops") {
		d := defrag.Drop(i)
		remedy := p.Remedy()
		if d.Harmless() {
			remedy = ""
		}
		all = append(all, meaning{d.String(), c.text, !d.Harmless(), remedy})
	}
	return all
}

// namedText is a constant with its comment.
type namedText struct{ name, text string }

// constants are those of a type, from the one that has iota up to end, each with
// the comment beside it or above it.
func constants(t *testing.T, file, typ, end string) (all []namedText) {
	for _, d := range parse(t, file).Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		first, ok := g.Specs[0].(*ast.ValueSpec).Type.(*ast.Ident)
		if !ok || first.Name != typ {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			name := v.Names[0].Name
			if name == end {
				return all
			}
			text := strings.Join(strings.Fields(v.Comment.Text()+" "+v.Doc.Text()), " ")
			text = strings.TrimSuffix(strings.TrimPrefix(text, name+": "), ".")
			if text == "" {
				t.Fatalf("%s: %s has no comment", file, name)
			}
			all = append(all, namedText{name, plainly(text)})
		}
	}
	t.Fatalf("%s: the constants of %s do not end with %s", file, typ, end)
	return nil
}

// plainly replaces what only a reader of the code knows.
func plainly(text string) string {
	return strings.NewReplacer(
		"Config.Timeout, nor before maxYounger newer datagrams", "time, nor before too many newer datagrams",
		"Config.Bytes", "the memory for fragments",
		"more pieces than maxPieces", "too many pieces",
		"--max-conns", "`--max-conns`",
	).Replace(text)
}

// inNames writes constants that a text names as their values.
func inNames(text string, list []namedText, value func(int) string) string {
	return regexp.MustCompile(`\b[A-Z]\w+[A-Z]\w+\b`).ReplaceAllStringFunc(text, func(word string) string {
		if i := slices.IndexFunc(list, func(c namedText) bool { return c.name == word }); i >= 0 {
			return "`" + value(i) + "`"
		}
		return word
	})
}

func parse(t *testing.T, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
