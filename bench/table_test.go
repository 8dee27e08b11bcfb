package main

import (
	"strings"
	"testing"
)

const output = `goos: linux
pkg: netmirror/e2e
BenchmarkRequests/20000_GETs_a_second/netmirror-2   	       1	5077737904 ns/op	         9 cpu-us/req	         3 lost
BenchmarkRequests/20000_GETs_a_second/floor-2      	       1	5388853743 ns/op	         6 cpu-us/req
BenchmarkRequests/20000_GETs_a_second/udp-2      	       1	5388853743 ns/op	         18 cpu-us/req
BenchmarkVisits/2000_a_second/netmirror-2   	       1	5077737904 ns/op	         118 cpu-us/conn
BenchmarkVisits/2000_a_second/netmirror-2   	       1	5077737904 ns/op	         122 cpu-us/conn
BenchmarkVisits/2000_a_second/floor-2      	       1	5388853743 ns/op	         100 cpu-us/conn
BenchmarkCurl/200_POSTs_of_8_KB/netmirror-2      	       1	5388853743 ns/op	         0.15 cpu-s
BenchmarkCurl/200_POSTs_of_8_KB/floor-2      	       1	5388853743 ns/op	         0.1 cpu-s
BenchmarkCurl/200_POSTs_of_8_KB/peer-2      	       1	5388853743 ns/op	         0.2 cpu-s
BenchmarkBusy-2      	       1	5388853743 ns/op	         100 right-%	          7 p99-ms
BenchmarkBusy-2      	       1	5388853743 ns/op	         99.5 right-%	          9 p99-ms
BenchmarkAcks/netmirror      	 5665833	       218.2 ns/op	       1 B/op
BenchmarkAcks/netmirror      	 5665833	       120 ns/op	       1 B/op
BenchmarkAcks/netmirror      	 5665833	       140 ns/op	       1 B/op
BenchmarkDecode/other-vni-16 	 5665833	       10 ns/op	       0 allocs/op
BenchmarkDecode/other-port/v4-16 	 5665833	       50 ns/op	       0 allocs/op
PASS
`

// older is what a netmirror without --capture udp has to show.
const older = `BenchmarkRequests/20000_GETs_a_second/netmirror-2   	       1	5077737904 ns/op	         4.5 cpu-us/req	         0 lost
--- FAIL: BenchmarkRequests/20000_GETs_a_second/udp
FAIL
`

func tableOf(t *testing.T, base figures) map[string]string {
	t.Helper()
	f := make(figures)
	if err := f.read(strings.NewReader(output)); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, r := range tabulate(f, base, false) {
		name, rest, _ := strings.Cut(r.String(), "\t")
		got[name] = strings.ReplaceAll(rest, "\t", "|")
	}
	return got
}

func TestTable(t *testing.T) {
	got := tableOf(t, nil)
	for _, tt := range []struct{ claim, name, want string }{
		{"several bars met", "20 000 GETs/s: CPU", "9|cpu-us/req|<= 1.64 x floor, <= 1.6 x floor, <= 13|1.5|floor|||ok"},
		{"a bar missed", "20 000 GETs/s: lost", "3|lost|<= 0|||||miss"},
		{"a ratio without a bar", "20 000 GETs/s: CPU with --capture udp", "18|cpu-us/req||2|netmirror|||"},
		{"the mean of two runs, and a bar in floors", "2000 connections/s, a POST of 400 B each: CPU", "120|cpu-us/conn|<= 1.31 x floor, <= 120|1.2|floor|||ok"},
		{"vxlan-to-http itself", "200 curl POSTs of 8 KB, a connection each: CPU", "0.15|cpu-s|<= 1 x peer|1.5|floor||0.75|ok"},
		{"the worst of two runs", "2000 connections/s beside 5 busy loops: right", "99.5|right-%|>= 100|||||miss"},
		{"the median of three runs", "pure acknowledgements", "140|ns/op|<= 150|||||ok"},
		{"the worst of several", "decap, another service's packet", "50|ns/op|<= 40|||||miss"},
		{"one figure missing of a suite", "1000 keep-alive POSTs/s of 2 KB: CPU", "|cpu-us/req|<= 1.64 x floor, <= 60|||||not measured"},
		{"a suite that did not run", "start to first byte", ""},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			if got[tt.name] != tt.want {
				t.Errorf("%s is %q, want %q", tt.name, got[tt.name], tt.want)
			}
		})
	}
}

func TestTableBesideABase(t *testing.T) {
	base := make(figures)
	if err := base.read(strings.NewReader(older)); err != nil {
		t.Fatal(err)
	}
	got := tableOf(t, base)
	for _, tt := range []struct{ claim, name, want string }{
		{"the base has the figure", "20 000 GETs/s: CPU", "9|cpu-us/req|<= 1.64 x floor, <= 1.6 x floor, <= 13|1.5|floor|2||ok"},
		{"the base has nothing of it", "20 000 GETs/s: lost", "3|lost|<= 0|||||miss"},
		{"the base cannot do it", "20 000 GETs/s: CPU with --capture udp", "18|cpu-us/req||2|netmirror|—||"},
	} {
		t.Run(tt.claim, func(t *testing.T) {
			if got[tt.name] != tt.want {
				t.Errorf("%s is %q, want %q", tt.name, got[tt.name], tt.want)
			}
		})
	}
}
