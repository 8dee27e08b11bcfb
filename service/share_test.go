package service

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

func TestParseForward(t *testing.T) {
	for _, row := range []struct{ in, selection, target, err string }{
		{in: "42:8080=shadow-a:80", selection: "42:8080", target: "shadow-a:80"},
		{in: "any:8080=[2001:db8::1]:80", selection: "any:8080", target: "[2001:db8::1]:80"},
		{in: "42,43:80,9000-9010=tls://a:443?x=y", selection: "42,43:80,9000-9010", target: "tls://a:443?x=y"},
		{in: "8080=a:80", err: "is not VNIS:PORTS=TARGET"},
		{in: "42:8080", err: "is not VNIS:PORTS=TARGET"},
		{in: "42:8080=", err: "is not VNIS:PORTS=TARGET"},
		{in: "x:8080=a:80", err: `VNI "x"`},
		{in: "42:http=a:80", err: `port "http"`},
	} {
		f, err := ParseForward(row.in)
		if !told(err, row.err) || err == nil && (f.Selection.String() != row.selection || f.Target != row.target) {
			t.Errorf("ParseForward(%q) = %v, %v; want %s=%s, %s", row.in, f, err, row.selection, row.target, row.err)
		}
	}
}

// address is one of many that differ in their last bytes.
func address(n int) []byte {
	return binary.BigEndian.AppendUint32(nil, 0x0a000000+uint32(n))
}

// TestSampleShare draws 20 000 connections: the share is kept within five standard
// deviations.
func TestSampleShare(t *testing.T) {
	const n = 20000
	server := []byte{192, 0, 2, 1}
	for _, row := range []struct {
		share string
		want  float64
	}{{"10%", 0.1}, {"1/64", 1.0 / 64}, {"0.5%", 0.005}, {"100%", 1}, {"1/1", 1}, {"all", 1}} {
		for _, by := range []SampleBy{ByConnection, ByClient} {
			s, err := NewSample(row.share, by, "key")
			if err != nil {
				t.Fatal(err)
			}
			taken := 0
			for i := range n {
				if s.Takes(address(i), server, 40000, 80) {
					taken++
				}
			}
			if off := math.Abs(float64(taken) - n*row.want); off > 5*math.Sqrt(n*row.want*(1-row.want)) {
				t.Errorf("%s by %v: %d of %d taken", row.share, by, taken, n)
			}
		}
	}
}

func TestSampleByClient(t *testing.T) {
	s, err := NewSample("50%", ByClient, "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		client := address(i)
		first := s.Takes(client, []byte{192, 0, 2, 1}, 1, 80)
		if s.Takes(client, []byte{192, 0, 2, 2}, 2, 81) != first {
			t.Errorf("client %d: one connection is taken, another is not", i)
		}
	}
}

// TestSampleStays has what XXH64, written in Python from its specification, draws:
// instances and restarts agree, and so do releases.
func TestSampleStays(t *testing.T) {
	s, err := NewSample("50%", ByConnection, "key")
	if err != nil {
		t.Fatal(err)
	}
	drawn := ""
	for i := range 32 {
		if s.Takes(address(i), []byte{192, 0, 2, 1}, 40000, 80) {
			drawn += "x"
		} else {
			drawn += "."
		}
	}
	const want = "x.x.x..xx.xxxxx.x..xx.xx...x..x."
	if drawn != want {
		t.Errorf("drawn %s, want %s", drawn, want)
	}
}

func TestSampleErrors(t *testing.T) {
	for _, share := range []string{"", "10", "0%", "-1%", "101%", "2/1", "1/0", "0/5", "x%", "NaN%", "1/x"} {
		if _, err := NewSample(share, ByClient, ""); err == nil {
			t.Errorf("share %q is taken", share)
		}
	}
	for share, want := range map[string]string{"10": "did you mean 10%?", "0.1": "did you mean 10%?", "2.5": "did you mean 2.5%?", "0.07": "did you mean 7%?"} {
		if _, err := NewSample(share, ByClient, ""); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("share %s: %v, want %s", share, err, want)
		}
	}
	for _, share := range []string{"0", "-1", "200", "1:10", "NaN"} { // like no share
		if _, err := NewSample(share, ByClient, ""); err == nil || strings.Contains(err.Error(), "did you mean") {
			t.Errorf("share %s: %v", share, err)
		}
	}
}

func TestClients(t *testing.T) {
	for _, row := range []struct {
		name         string
		only, except []string
		client       []byte
		want         bool
	}{
		{"no list", nil, nil, []byte{10, 0, 0, 1}, true},
		{"in the network", []string{"10.0.0.0/8"}, nil, []byte{10, 1, 2, 3}, true},
		{"outside of it", []string{"10.0.0.0/8"}, nil, []byte{11, 1, 2, 3}, false},
		{"left out", nil, []string{"10.0.0.7"}, []byte{10, 0, 0, 7}, false},
		{"beside the one left out", nil, []string{"10.0.0.7"}, []byte{10, 0, 0, 8}, true},
		{"left out of the network", []string{"10.0.0.0/8"}, []string{"192.0.2.1, 10.0.0.7"}, []byte{10, 0, 0, 7}, false},
		{"IPv6", []string{"2001:db8::/32"}, nil, []byte{0x20, 1, 0xd, 0xb8, 15: 1}, true},
		{"IPv6 beside an IPv4 list", []string{"0.0.0.0/0"}, nil, []byte{0x20, 1, 0xd, 0xb8, 15: 1}, false},
		{"host bits set", []string{"10.1.2.3/8"}, nil, []byte{10, 9, 9, 9}, true},
	} {
		c, err := NewClients(row.only, row.except)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Takes(row.client); got != row.want {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
	if _, err := NewClients([]string{"10.0.0.0/33"}, nil); err == nil {
		t.Error("10.0.0.0/33 is taken")
	}
}

func TestTakesAllocatesNothing(t *testing.T) {
	s, err := NewSample("1/64", ByConnection, "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewClients([]string{"10.0.0.0/8"}, []string{"10.0.0.7"})
	if err != nil {
		t.Fatal(err)
	}
	client, server := address(1), address(2)
	if n := testing.AllocsPerRun(100, func() { s.Takes(client, server, 1, 2); c.Takes(client) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkSample(b *testing.B) {
	s, _ := NewSample("1/64", ByConnection, "")
	client, server := address(1), address(2)
	for b.Loop() {
		s.Takes(client, server, 1, 2)
	}
}
