package main

import (
	"strings"
	"testing"
)

const output = `goos: linux
pkg: netmirror/e2e
BenchmarkRequests/20000_GETs_a_second/netmirror-2   	       1	5077737904 ns/op	         1.228 cpu-s	         3 lost
BenchmarkRequests/20000_GETs_a_second/reader-2      	       1	5388853743 ns/op	         0.5 cpu-s
BenchmarkAcks/netmirror      	 5665833	       218.2 ns/op	       1 B/op
BenchmarkAcks/netmirror      	 5665833	       120 ns/op	       1 B/op
BenchmarkAcks/netmirror      	 5665833	       140 ns/op	       1 B/op
BenchmarkDecode/other-vni-16 	 5665833	       10 ns/op	       0 allocs/op
BenchmarkDecode/other-port/v4-16 	 5665833	       50 ns/op	       0 allocs/op
PASS
`

func TestTable(t *testing.T) {
	f := make(figures)
	if err := f.read(strings.NewReader(output)); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, r := range tabulate(f, f, false) {
		name, rest, _ := strings.Cut(r.String(), "\t")
		got[name] = strings.ReplaceAll(rest, "\t", "|")
	}
	for _, tt := range []struct{ claim, name, want string }{
		{"a bar met, and a ratio", "100 000 GETs, 20 000/s: CPU", "1.23|cpu-s|<= 1.3|2.46|reader|1|ok"},
		{"a bar missed", "100 000 GETs, 20 000/s: lost", "3|lost|<= 0|||1|miss"},
		{"the median of three runs", "pure acknowledgements", "140|ns/op|<= 150|||1|ok"},
		{"the worst of several", "decap, another service's packet", "50|ns/op|<= 40|||1|miss"},
		{"one figure missing of a suite", "5000 POSTs of 2 KB, 1000/s: CPU", "|cpu-s|<= 0.3||||not measured"},
		{"a suite that did not run", "start to first byte", ""},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			if got[tt.name] != tt.want {
				t.Errorf("%s is %q, want %q", tt.name, got[tt.name], tt.want)
			}
		})
	}
}
