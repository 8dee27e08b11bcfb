package check

import (
	"encoding/binary"
	"runtime"
	"strings"
	"testing"

	"netmirror/source"
)

// Offsets in the frames of packet.frame, over IPv4.
const (
	atVNI     = 14 + 20 + 8 + 4
	atSrcAddr = atVNI + 4 + 14 + 12
	atDstPort = atSrcAddr + 8 + 2
)

// A flood of made-up VNIs, addresses and ports costs bounded memory, and does not
// hide the service that is there.
func TestFloodOfServices(t *testing.T) {
	const flood, every = 300_000, 100
	c := testConfig(nil, 0)
	s := newSeen(c)
	real := packet{vni: 7, src: "10.0.0.1:50001", dst: "10.0.0.9:8080", flags: "A", payload: get}.frame(t)
	junk := packet{src: "10.1.0.1:50001", dst: "10.1.0.9:1", flags: "S"}.frame(t)
	before := heap()
	for i := range uint32(flood) {
		binary.BigEndian.PutUint32(junk[atVNI:], (1000+i)<<8)
		binary.BigEndian.PutUint32(junk[atSrcAddr:], i)
		binary.BigEndian.PutUint16(junk[atDstPort:], uint16(i))
		s.add(junk, source.Ethernet)
		if i%every == 0 {
			s.add(real, source.Ethernet)
		}
		if n := len(s.flows.byKey); n > maxFlows {
			t.Fatalf("%d connections are remembered", n)
		}
	}
	s.flows.fold()
	if grown := heap() - before; grown > 64<<20 {
		t.Errorf("it has grown by %d MiB", grown>>20)
	}
	if n := len(s.services.entries); n > topLimit {
		t.Errorf("%d services are remembered", n)
	}
	if n := len(s.vnis.entries); n > topLimit {
		t.Errorf("%d VNIs are remembered", n)
	}
	if got := s.services.entries[serviceID{7, 8080}]; got == nil || got.client.packets != flood/every {
		t.Errorf("of the service there is %+v, want %d packets", got, flood/every)
	}
	total := s.services.lost
	for _, v := range s.services.entries {
		total += v.packets()
	}
	if total != flood+flood/every {
		t.Errorf("%d packets are accounted for, want %d", total, flood+flood/every)
	}
	got, _ := told(t, c, s)
	if n := strings.Count(got, "\n"); n > tableRows+10 {
		t.Errorf("it says %d lines", n)
	}
	for _, text := range []string{"      7   8080        3000", "and some 299991 others, with 299991 packets"} {
		if !strings.Contains(got, text) {
			t.Errorf("it does not say %q", text)
		}
	}
	if t.Failed() {
		t.Logf("it said\n%s", got)
	}
}

// What was given is never forgotten.
func TestFloodBesideOneOfOurs(t *testing.T) {
	s := newSeen(testConfig([]uint32{7}, 8080))
	s.add(packet{vni: 7, src: "10.0.0.1:50001", dst: "10.0.0.9:8080", flags: "A", payload: get}.frame(t), source.Ethernet)
	junk := packet{src: "10.1.0.1:50001", dst: "10.1.0.9:1", flags: "S"}.frame(t)
	for i := range uint32(20_000) {
		binary.BigEndian.PutUint32(junk[atVNI:], (1000+i)<<8)
		s.add(junk, source.Ethernet)
		s.add(junk, source.Ethernet)
	}
	s.flows.fold()
	if s.services.entries[serviceID{7, 8080}] == nil || s.vnis.entries[7] == nil {
		t.Error("the service that was given is forgotten")
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
