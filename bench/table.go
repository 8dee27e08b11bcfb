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
		if median := (all[(len(all)-1)/2] + all[len(all)/2]) / 2; !ok || median > v {
			v, ok = median, true
		}
	}
	return v, ok
}

// worst is, of a benchmark's runs, the one that the bar is hardest on.
func (f figures) worst(name, unit string, k barKind) (v float64, ok bool) {
	all := f[name][unit]
	if len(all) == 0 {
		return 0, false
	}
	if k == least {
		return slices.Min(all), true
	}
	return slices.Max(all), true
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
// another that it is compared with, and the bars for it and the ratio.
type row struct {
	name, bench, unit string
	than              string // the benchmark to compare with
	bars              bars
	worst             bool // the figure is that of the worst run, not the median
}

const (
	curl   = "BenchmarkCurl/200_POSTs_of_8_KB/"
	visits = "BenchmarkVisits/2000_a_second/"
	fives  = "BenchmarkRequests/1000_POSTs_a_second,_5_a_connection/"
	posts  = "BenchmarkRequests/1000_POSTs_a_second/"
	gets   = "BenchmarkRequests/20000_GETs_a_second/"
	seldom = "BenchmarkRequests/100_GETs_a_second/"
	busy   = "BenchmarkBusy"
)

var rows = slices.Concat(requestRows, streamRows, busyRows, stageRows, standingRows)

var requestRows = []row{
	{name: "200 curl POSTs of 8 KB, a connection each: CPU", bench: curl + "netmirror", unit: "cpu-s", than: curl + "floor", bars: peer(1, 1)},
	{name: "200 curl POSTs of 8 KB: lost", bench: curl + "netmirror", unit: "lost", bars: atMost(0)},
	{name: "2000 connections/s, a POST of 400 B each: CPU", bench: visits + "netmirror", unit: "cpu-us/conn", than: visits + "floor", bars: slices.Concat(peer(1, 1.31), atMost(120))},
	{name: "2000 connections/s: right", bench: visits + "netmirror", unit: "right-%", bars: atLeast(100)},
	{name: "1000 POSTs/s of 2 KB, 5 a connection: CPU", bench: fives + "netmirror", unit: "cpu-us/req", than: fives + "floor", bars: peer(1, 1.51)},
	{name: "1000 POSTs/s, 5 a connection: lost", bench: fives + "netmirror", unit: "lost", bars: atMost(0)},
	{name: "1000 keep-alive POSTs/s of 2 KB: CPU", bench: posts + "netmirror", unit: "cpu-us/req", than: posts + "floor", bars: slices.Concat(peer(0.8, 2.05), atMost(60))},
	{name: "1000 keep-alive POSTs/s: CPU with 2 workers", bench: posts + "2_workers", unit: "cpu-us/req", than: posts + "netmirror", bars: ratioAtMost(1.1)},
	{name: "1000 keep-alive POSTs/s: CPU with --capture udp", bench: posts + "udp", unit: "cpu-us/req", than: posts + "netmirror"},
	{name: "1000 keep-alive POSTs/s: lost", bench: posts + "netmirror", unit: "lost", bars: atMost(0)},
	{name: "1000 keep-alive POSTs/s: RSS beside the ring", bench: posts + "netmirror", unit: "rss-MiB", bars: atMost(12)},
	{name: "20 000 GETs/s: CPU", bench: gets + "netmirror", unit: "cpu-us/req", than: gets + "floor", bars: slices.Concat(peer(0.5, 3.27), ratioAtMost(1.6), atMost(13))},
	{name: "20 000 GETs/s: CPU with 2 workers", bench: gets + "2_workers", unit: "cpu-us/req", than: gets + "netmirror", bars: ratioAtMost(1.1)},
	{name: "20 000 GETs/s: CPU with --capture udp", bench: gets + "udp", unit: "cpu-us/req", than: gets + "netmirror"},
	{name: "20 000 GETs/s: lost", bench: gets + "netmirror", unit: "lost", bars: atMost(0)},
	{name: "20 000 GETs/s: latency, 99 %", bench: gets + "netmirror", unit: "p99-ms", bars: atMost(5)},
	{name: "100 GETs/s: CPU", bench: seldom + "netmirror", unit: "cpu-us/req", than: seldom + "floor"},
	{name: "100 GETs/s: latency, median", bench: seldom + "netmirror", unit: "p50-ms", bars: atMost(2)},
}

// busyRows are of ten runs.
var busyRows = []row{
	{name: "2000 connections/s beside 5 busy loops: right", bench: busy, unit: "right-%", bars: atLeast(100), worst: true},
	{name: "2000 connections/s beside 5 busy loops: latency, 99 %", bench: busy, unit: "p99-ms"},
	{name: "2000 connections/s beside 5 busy loops: latency, 99 %, worst run", bench: busy, unit: "p99-ms", worst: true},
	{name: "2000 connections/s beside 5 busy loops: kernel drops", bench: busy, unit: "drops", bars: atMost(0), worst: true},
}

const (
	slow    = "BenchmarkStreams/1_at_400_Mbit/"
	eight   = "BenchmarkStreams/8_at_1_Gbit/"
	single  = "BenchmarkStreams/1_at_1_Gbit/"
	fast    = "BenchmarkStreams/8_at_4_Gbit/"
	unpaced = "BenchmarkStreams/8_unpaced/"
)

var streamRows = []row{
	{name: "1 stream, 400 Mbit/s: CPU", bench: slow + "netmirror", unit: "cpu-s/GB", than: slow + "floor", bars: ratioAtMost(1.6)},
	{name: "1 stream, 400 Mbit/s: streams right, of 1", bench: slow + "netmirror", unit: "right", bars: atLeast(1)},
	{name: "8 streams, 1 Gbit/s together: CPU", bench: eight + "netmirror", unit: "cpu-s/GB", than: eight + "floor", bars: slices.Concat(ratioAtMost(1.6), atMost(2))},
	{name: "8 streams, 1 Gbit/s together: CPU with 2 workers", bench: eight + "2_workers", unit: "cpu-s/GB", than: eight + "netmirror", bars: ratioAtMost(1.1)},
	{name: "8 streams, 1 Gbit/s together: CPU with --capture udp", bench: eight + "udp", unit: "cpu-s/GB", than: eight + "netmirror"},
	{name: "8 streams, 1 Gbit/s together: kernel drops", bench: eight + "netmirror", unit: "drops", bars: atMost(0)},
	{name: "8 streams, 1 Gbit/s together: streams right, of 8", bench: eight + "netmirror", unit: "right", bars: atLeast(8)},
	{name: "1 stream, 1 Gbit/s: CPU", bench: single + "netmirror", unit: "cpu-s/GB", than: single + "floor", bars: atMost(1.5)},
	{name: "1 stream, 1 Gbit/s: streams right, of 1", bench: single + "netmirror", unit: "right", bars: atLeast(1)},
	{name: "8 streams, 4 Gbit/s: CPU", bench: fast + "netmirror", unit: "cpu-s/GB"},
	{name: "8 streams, 4 Gbit/s: kernel drops", bench: fast + "netmirror", unit: "drops"},
	{name: "8 streams, 4 Gbit/s: streams right, of 8", bench: fast + "netmirror", unit: "right"},
	{name: "8 streams, unpaced: rate", bench: unpaced + "netmirror", unit: "Gbit/s"},
	{name: "8 streams, unpaced: kernel drops", bench: unpaced + "netmirror", unit: "drops"},
	{name: "8 streams, unpaced: streams right, of 8", bench: unpaced + "netmirror", unit: "right"},
	{name: "8 streams, unpaced: streams reset", bench: unpaced + "netmirror", unit: "reset"},
}

// stageRows are of the packages, without the binary.
var stageRows = []row{
	{name: "8 streams from memory", bench: "BenchmarkBulk/netmirror", unit: "MB/s", than: "BenchmarkBulk/plain", bars: ratioAtLeast(0.3)},
	{name: "connections of 400 B from memory", bench: "BenchmarkConnections/netmirror", unit: "conns/s", than: "BenchmarkConnections/plain", bars: atLeast(10_000)},
	{name: "pure acknowledgements", bench: "BenchmarkAcks/netmirror", unit: "ns/op", than: "BenchmarkAcks/decap", bars: atMost(150)},
	{name: "decap, a packet", bench: "BenchmarkDecode/ours/v4", unit: "ns/op", bars: atMost(60)},
	{name: "decap, another service's packet", bench: "BenchmarkDecode/other*", unit: "ns/op", bars: atMost(40)},
	{name: "decap, allocations", bench: "BenchmarkDecode/*", unit: "allocs/op", bars: atMost(0)},
}

// standingRows are of a netmirror that has other things to do than to forward much.
var standingRows = []row{
	{name: "15 000 idle flows: memory each", bench: "BenchmarkIdleFlows", unit: "rss-B/flow", bars: atMost(8192)},
	{name: "15 000 idle flows: CPU", bench: "BenchmarkIdleFlows", unit: "idle-cpu-%", bars: atMost(0.5)},
	{name: "start to first byte", bench: "BenchmarkStart", unit: "median-ms", bars: atMost(100)},
	{name: "beside targets that never read: 99 %", bench: "BenchmarkSlowNeighbors/never_read", unit: "p99-ratio", bars: atMost(2)},
	{name: "beside targets that read 10 KB/s: 99 %", bench: "BenchmarkSlowNeighbors/read_at_10_KB/s", unit: "p99-ratio", bars: atMost(2)},
	{name: "hostile mix: memory", bench: "BenchmarkHostileMemory", unit: "peak/budget", bars: atMost(1)},
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
	NewPeer *float64 `json:"new_peer,omitempty"` // to that of vxlan-to-http
	OK      bool     `json:"ok"`                 // the bars are met

	baseless bool // the other binary has no figure
}

// tabulate fills in the rows: all of them, or those of which there is something.
// base may be nil.
func tabulate(f, base figures, all bool) (results []result) {
	for _, r := range rows {
		if all || f.ran(r.bench) {
			results = append(results, r.result(f, base))
		}
	}
	return results
}

// result compares the row's figure in f with the others.
func (r row) result(f, base figures) result {
	res := result{Name: r.name, Unit: r.unit}
	figure := func(f figures, bench string) *float64 {
		v, ok := f.figure(bench, r.unit)
		if r.worst {
			v, ok = f.worst(bench, r.unit, r.bars.kind())
		}
		if !ok {
			return nil
		}
		return &v
	}
	res.Figure = figure(f, r.bench)
	than := r.than[strings.LastIndex(r.than, "/")+1:]
	if res.Ratio = over(res.Figure, figure(f, r.than)); res.Ratio != nil {
		res.To = than
	}
	old := figure(base, r.bench)
	res.NewBase, res.baseless = over(res.Figure, old), base != nil && old == nil
	if own, ok := strings.CutSuffix(r.bench, "/netmirror"); ok {
		res.NewPeer = over(res.Figure, figure(f, own+"/peer"))
	}
	res.OK = res.Figure != nil
	var texts []string
	for _, b := range r.bars {
		texts = append(texts, b.text(res, than))
		res.OK = res.OK && b.met(res)
	}
	res.Bar = strings.Join(texts, ", ")
	return res
}

// over is a ratio, where there is one.
func over(v, than *float64) *float64 {
	if v == nil || than == nil || *than == 0 {
		return nil
	}
	ratio := *v / *than
	return &ratio
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
	base := number(r.NewBase)
	if r.baseless {
		base = "—"
	}
	return strings.Join([]string{
		r.Name, number(r.Figure), r.Unit, r.Bar, number(r.Ratio), r.To, base, number(r.NewPeer), verdict,
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
