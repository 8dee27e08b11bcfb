package tap

import (
	"math/rand/v2"
	"slices"
	"testing"

	"netmirror/filter"
	"netmirror/service"
	"netmirror/wire"
)

// The programs of a UDP socket and of a packet socket choose the same packets and share
// them alike.
func TestDatagramsProgramIsThatOfFrames(t *testing.T) {
	const headers, sockets = 14 + 20 + 8, 3
	c := filter.Config{Mirror: vxlanAt(4789), VNIs: []uint32{ourVNI, 7}, InnerPorts: service.PortsOf(ourPort)}
	frames, datagrams := newVM(t, c.Frames()), newVM(t, c.Datagrams(wire.EncapVXLAN, sockets, nil))
	outer := outerLayouts()[0]
	rng := rand.New(rand.NewPCG(5, 6))
	var seen [sockets + 1]int
	check := func(frame []byte) {
		want := sockets
		if accepts(t, frames, frame) {
			want = int(runFanout(t, frame) % sockets)
		}
		got, err := datagrams.Run(frame[headers:])
		must(t, err)
		if got != want {
			t.Fatalf("socket %d, want %d: % x", got, want, frame)
		}
		seen[got]++
	}
	for range 2000 {
		f := randomFlow(rng)
		check(outer.wrap(t, []int{ourVNI, 7, 8}[rng.IntN(3)], f.inner(rng.IntN(2) == 0)...))
		layouts := innerLayouts(t, 50000, []int{ourPort, 443}[rng.IntN(2)])
		frame := outer.wrap(t, ourVNI, layouts[rng.IntN(len(layouts))].frame...)
		check(frame)
		check(slices.Concat(frame[:headers], mutate(rng, slices.Clone(frame[headers:]))))
	}
	for socket, n := range seen {
		if n < 300 {
			t.Errorf("socket %d had %d packets: the test shows little", socket, n)
		}
	}
}
