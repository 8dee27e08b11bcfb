package main

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// figures are what benchmarks reported: by name, as the testing package prints
// it without the number of processors, and unit, once for each run.
type figures map[string]map[string][]float64

var benchmarkLine = regexp.MustCompile(`^(Benchmark\S*?)(?:-\d+)?\s+\d+\s+(.*)$`)

// read adds the figures in the output of go test.
func (f figures) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		m := benchmarkLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		fields := strings.Fields(m[2])
		for i := 0; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return fmt.Errorf("read %q: %w", lines.Text(), err)
			}
			if f[m[1]] == nil {
				f[m[1]] = make(map[string][]float64)
			}
			f[m[1]][fields[i+1]] = append(f[m[1]][fields[i+1]], v)
		}
	}
	return lines.Err()
}

// figure is the median of a benchmark's runs. A name that ends in * is all
// benchmarks that begin so: the largest of their medians.
func (f figures) figure(name, unit string) (v float64, ok bool) {
	prefix, many := strings.CutSuffix(name, "*")
	for n, units := range f {
		all := slices.Sorted(slices.Values(units[unit]))
		if len(all) == 0 || n != name && !(many && strings.HasPrefix(n, prefix)) {
			continue
		}
		if median := all[len(all)/2]; !ok || median > v {
			v, ok = median, true
		}
	}
	return v, ok
}

// ran reports whether the row's benchmark, or one of those around it, has figures.
func (f figures) ran(name string) bool {
	top, _, _ := strings.Cut(name, "/")
	for n := range f {
		if n == top || strings.HasPrefix(n, top+"/") {
			return true
		}
	}
	return false
}

// row is a row of the table: a figure of a benchmark, the same figure of
// another that it is compared with, and the bar for the one or the ratio.
type row struct {
	name, bench, unit string
	than              string // the benchmark to compare with
	bar               bar
}

type bar struct {
	at    float64
	kind  barKind
	ratio bool // it is the ratio that is held to it
}

type barKind byte

const (
	none barKind = iota
	most
	least
)

func (b bar) String() string {
	text := [...]string{none: "", most: "<= ", least: ">= "}[b.kind]
	if b.kind != none {
		text += strconv.FormatFloat(b.at, 'g', -1, 64)
	}
	if b.ratio {
		text = "ratio " + text
	}
	return text
}

func (b bar) met(v float64) bool {
	switch b.kind {
	case most:
		return v <= b.at
	case least:
		return v >= b.at
	default:
		return true
	}
}

func atMost(v float64) bar  { return bar{at: v, kind: most} }
func atLeast(v float64) bar { return bar{at: v, kind: least} }

var rows = slices.Concat(requestRows, streamRows, stageRows, standingRows)

const (
	gets   = "BenchmarkRequests/20000_GETs_a_second/"
	posts  = "BenchmarkRequests/1000_POSTs_a_second/"
	seldom = "BenchmarkRequests/100_GETs_a_second/"
)

var requestRows = []row{
	{"100 000 GETs, 20 000/s: CPU", gets + "netmirror", "cpu-s", gets + "reader", atMost(1.3)},
	{"100 000 GETs, 20 000/s: CPU with 2 workers", gets + "2_workers", "cpu-s", gets + "netmirror", bar{1.1, most, true}},
	{"100 000 GETs, 20 000/s: lost", gets + "netmirror", "lost", "", atMost(0)},
	{"100 000 GETs, 20 000/s: latency, 99 %", gets + "netmirror", "p99-ms", "", atMost(5)},
	{"5000 POSTs of 2 KB, 1000/s: CPU", posts + "netmirror", "cpu-s", posts + "reader", atMost(0.3)},
	{"5000 POSTs of 2 KB, 1000/s: CPU with 2 workers", posts + "2_workers", "cpu-s", posts + "netmirror", bar{1.1, most, true}},
	{"5000 POSTs of 2 KB, 1000/s: lost", posts + "netmirror", "lost", "", atMost(0)},
	{"400 GETs, 100/s: CPU", seldom + "netmirror", "cpu-s", seldom + "reader", bar{}},
	{"400 GETs, 100/s: latency, median", seldom + "netmirror", "p50-ms", "", atMost(2)},
	{"10 000 connections with a POST of 400 B, 2000/s: CPU each", "BenchmarkVisits", "cpu-us/conn", "", atMost(120)},
	{"10 000 connections with a POST of 400 B, 2000/s: lost", "BenchmarkVisits", "lost", "", atMost(0)},
}

const (
	eight   = "BenchmarkStreams/8_at_1_Gbit/"
	single  = "BenchmarkStreams/1_at_1_Gbit/"
	fast    = "BenchmarkStreams/8_at_4_Gbit/"
	unpaced = "BenchmarkStreams/8_unpaced/"
)

var streamRows = []row{
	{"8 streams, 1 Gbit/s together: CPU", eight + "netmirror", "cpu-s/GB", eight + "reader", atMost(2)},
	{"8 streams, 1 Gbit/s together: CPU with 2 workers", eight + "2_workers", "cpu-s/GB", eight + "netmirror", bar{1.1, most, true}},
	{"8 streams, 1 Gbit/s together: kernel drops", eight + "netmirror", "drops", "", atMost(0)},
	{"8 streams, 1 Gbit/s together: streams right, of 8", eight + "netmirror", "right", "", atLeast(8)},
	{"1 stream, 1 Gbit/s: CPU", single + "netmirror", "cpu-s/GB", single + "reader", atMost(1.5)},
	{"1 stream, 1 Gbit/s: streams right, of 1", single + "netmirror", "right", "", atLeast(1)},
	{"8 streams, 4 Gbit/s: CPU", fast + "netmirror", "cpu-s/GB", fast + "reader", bar{}},
	{"8 streams, 4 Gbit/s: kernel drops", fast + "netmirror", "drops", "", bar{}},
	{"8 streams, 4 Gbit/s: streams right, of 8", fast + "netmirror", "right", "", bar{}},
	{"8 streams, unpaced: rate", unpaced + "netmirror", "Gbit/s", "", bar{}},
	{"8 streams, unpaced: kernel drops", unpaced + "netmirror", "drops", "", bar{}},
	{"8 streams, unpaced: streams right, of 8", unpaced + "netmirror", "right", "", bar{}},
	{"8 streams, unpaced: streams reset", unpaced + "netmirror", "reset", "", bar{}},
}

// stageRows are of the packages, without the binary.
var stageRows = []row{
	{"8 streams from memory", "BenchmarkBulk/netmirror", "MB/s", "BenchmarkBulk/plain", bar{0.3, least, true}},
	{"connections of 400 B from memory", "BenchmarkConnections/netmirror", "conns/s", "BenchmarkConnections/plain", atLeast(10_000)},
	{"pure acknowledgements", "BenchmarkAcks/netmirror", "ns/op", "BenchmarkAcks/decap", atMost(150)},
	{"decap, a packet", "BenchmarkDecode/ours/v4", "ns/op", "", atMost(60)},
	{"decap, another service's packet", "BenchmarkDecode/other*", "ns/op", "", atMost(40)},
	{"decap, allocations", "BenchmarkDecode/*", "allocs/op", "", atMost(0)},
}

// standingRows are of a netmirror that has other things to do than to forward much.
var standingRows = []row{
	{"15 000 idle flows: memory each", "BenchmarkIdleFlows", "rss-B/flow", "", atMost(20_000)},
	{"15 000 idle flows: CPU", "BenchmarkIdleFlows", "idle-cpu-%", "", atMost(0.5)},
	{"start to first byte", "BenchmarkStart", "median-ms", "", atMost(100)},
	{"beside targets that never read: 99 %", "BenchmarkSlowNeighbours/never_read", "p99-ratio", "", atMost(2)},
	{"beside targets that read 10 KB/s: 99 %", "BenchmarkSlowNeighbours/read_at_10_KB/s", "p99-ratio", "", atMost(2)},
	{"hostile mix: memory", "BenchmarkHostileMemory", "peak/budget", "", atMost(1)},
}

// result is a row with its figures. What was not measured is nil.
type result struct {
	Name    string   `json:"name"`
	Figure  *float64 `json:"figure"`
	Unit    string   `json:"unit"`
	Bar     string   `json:"bar,omitempty"`
	Ratio   *float64 `json:"ratio,omitempty"`    // to the figure of another benchmark of this run
	To      string   `json:"to,omitempty"`       // that benchmark
	NewBase *float64 `json:"new_base,omitempty"` // to the figure of the other binary
	OK      bool     `json:"ok"`                 // the bar is met
}

// tabulate fills in the rows: all of them, or those of which there is something.
// base may be nil.
func tabulate(f, base figures, all bool) (results []result) {
	for _, r := range rows {
		if !all && !f.ran(r.bench) {
			continue
		}
		res := result{Name: r.name, Unit: r.unit, Bar: r.bar.String()}
		v, ok := f.figure(r.bench, r.unit)
		if ok {
			res.Figure = &v
		}
		if than, found := f.figure(r.than, r.unit); ok && found && than != 0 {
			ratio := v / than
			res.Ratio, res.To = &ratio, r.than[strings.LastIndex(r.than, "/")+1:]
		}
		if old, found := base.figure(r.bench, r.unit); ok && found && old != 0 {
			ratio := v / old
			res.NewBase = &ratio
		}
		held := res.Figure
		if r.bar.ratio {
			held = res.Ratio
		}
		res.OK = held != nil && r.bar.met(*held)
		results = append(results, res)
	}
	return results
}

// String is the result in the columns of the table.
func (r result) String() string {
	verdict := "ok"
	switch {
	case r.Figure == nil:
		verdict = "not measured"
	case r.Bar == "":
		verdict = ""
	case !r.OK:
		verdict = "miss"
	}
	return strings.Join([]string{
		r.Name, number(r.Figure), r.Unit, r.Bar, number(r.Ratio), r.To, number(r.NewBase), verdict,
	}, "\t")
}

// number shows three or four digits that count.
func number(v *float64) string {
	switch {
	case v == nil:
		return ""
	case *v >= 100 || *v == 0:
		return strconv.FormatFloat(*v, 'f', 0, 64)
	default:
		return strconv.FormatFloat(*v, 'g', 3, 64)
	}
}
