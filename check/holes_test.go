package check

import (
	"testing"
	"time"

	"netmirror/decap"
	"netmirror/wire"
)

// feed reads the packets of one end of a connection as a look does.
func feed(t *testing.T, packets []packet, add func(s segment, copied bool)) {
	t.Helper()
	seen := make(map[uint64]bool)
	probe, err := decap.NewProbe(wire.Mirror{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		var d decap.Packet
		var sight decap.Sight
		if r := probe.Look(p.frame(t), &d, &sight); r != decap.OK {
			t.Fatal(r)
		}
		s := readSegment(&d)
		add(s, seen[s.print])
		seen[s.print] = true
	}
}

// every gives the packets that leave a rest of two.
func every(p []packet, rest int) (left []packet) {
	for i := rest; i < len(p); i += 2 {
		left = append(left, p[i])
	}
	return left
}

// What comes late, or again, is not lost.
func TestHoles(t *testing.T) {
	const client = "10.0.0.1:50001"
	all := stream(client, 1000, 60)
	wrapping := stream(client, 0xffffffff-100, 60)
	reversed := func(p []packet, n int) (out []packet) {
		out = append(out, p[0])
		for i := 1; i < len(p); i += n {
			for j := min(i+n, len(p)) - 1; j >= i; j-- {
				out = append(out, p[j])
			}
		}
		return out
	}
	resent := func(p packet) packet { p.id += 1000; return p }
	joined := func(p, q packet) packet { p.payload += q.payload; return p }
	for _, tt := range []struct {
		name    string
		packets []packet
		want    uint32
	}{
		{"none", all, 0},
		{"one", without(all, 5), 1},
		{"two packets at a place", without(all, 5, 6), 1},
		{"one, where the numbers wrap", without(wrapping, 11), 1},
		{"none, where the numbers wrap", reversed(wrapping, 4), 0},
		{"overtaken", reversed(all, 2), 0},
		{"overtaken by ten", reversed(all, 10), 0},
		{"overtaken by more than are remembered", reversed(all, 30), 0},
		{"the first half after the other", append(append([]packet{all[0]}, all[31:]...), all[1:31]...), 0},
		{"every second one after the others", append(every(all, 0), every(all, 1)...), 0},
		{"sent again", append(without(all, 5), resent(all[5])), 0},
		{"sent again with the next", append(without(all, 5), resent(joined(all[5], all[6]))), 0},
		{"sent again in part", append(without(all, 5, 6, 7), resent(all[6])), 2},
		{"others sent again", append(without(all, 5), resent(all[8]), all[9]), 1},
		{"more than are remembered", every(all, 0), 30},
		{"runs with losses between", without(all, 2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 32, 35, 38, 41, 44, 47, 50, 53, 56, 59), 20},
		{"the look begins in the middle", all[20:], 0},
		{"shown by an acknowledgement", append(all[:5:5], packet{vni: 7, src: client, dst: "10.0.0.9:8080", flags: "A", seq: 1050}), 1},
		{"shown by the end", append(all[:5:5], packet{vni: 7, src: client, dst: "10.0.0.9:8080", flags: "FA", seq: 1050}), 1},
		{"a reset, which may have any number", append(all[:5:5], packet{vni: 7, src: client, dst: "10.0.0.9:8080", flags: "R", seq: 5000}), 0},
		{"a number of another connection", append(all[:5:5], packet{vni: 7, src: client, dst: "10.0.0.9:8080", flags: "A", seq: 1 << 31}), 0},
		{"a keep-alive", append(all[:5:5], packet{vni: 7, src: client, dst: "10.0.0.9:8080", flags: "A", seq: 1039}), 0},
		{"the same ports again", append(without(all, 5), stream(client, 500_000, 5)...), 1},
		{"the SYN again", append(without(all, 5), resent(all[0])), 1},
		{"cut by the mirror", append(all[:5:5], packet{vni: 7, src: client, dst: "10.0.0.9:8080", flags: "A", seq: 1040, payload: "0123456789", cut: 8}, all[6]), 0},
		{"every packet twice", twice(all), 0},
		{"every packet twice, but one", twice(without(all, 5)), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var q sequence
			feed(t, tt.packets, func(s segment, copied bool) { q.add(&s, time.Second, copied) })
			if n, _ := q.missing(time.Second + patience); n != tt.want {
				t.Errorf("%d holes, want %d", n, tt.want)
			}
			if q.holes != nil && len(q.holes.open) > maxHoles {
				t.Errorf("%d holes are remembered", len(q.holes.open))
			}
		})
	}
}

// A packet may yet come.
func TestYoungHole(t *testing.T) {
	var q sequence
	feed(t, without(stream("10.0.0.1:50001", 1000, 9), 5), func(s segment, copied bool) { q.add(&s, time.Second, copied) })
	for at, want := range map[time.Duration]uint32{time.Second: 0, time.Second + patience - 1: 0, time.Second + patience: 1} {
		if n, bytes := q.missing(at); n != want || bytes != uint64(want)*10 {
			t.Errorf("after %v there are %d holes of %d bytes, want %d", at, n, bytes, want)
		}
	}
}
