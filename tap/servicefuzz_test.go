package tap

import (
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/net/bpf"

	"netmirror/decap"
	"netmirror/service"
	"netmirror/service/servicetest"
	"netmirror/wire"
)

// serviceCheck is the property that the filter stands for.
type serviceCheck struct {
	decoder *decap.Decoder
	filters []*bpf.VM
	plain   *bpf.VM // without the look at the service
}

func newServiceCheck(t testing.TB, m wire.Mirror) serviceCheck {
	t.Helper()
	vnis := []uint32{ourVNI, 0, wire.MaxVNI}
	if m.Bare() {
		vnis = []uint32{0}
	}
	d, err := decap.New(decap.Config{Mirror: m, Services: servicetest.Only(ourPort, vnis...)})
	must(t, err)
	s := serviceCheck{decoder: d, plain: newVM(t, Config{Mirror: m}.filter().Frames())}
	for _, c := range []Config{{VNIs: vnis, InnerPorts: service.PortsOf(ourPort)}, {VNIs: vnis}, {InnerPorts: service.PortsOf(ourPort)}} {
		c.Mirror = m
		s.filters = append(s.filters, newVM(t, c.filter().Frames()))
	}
	return s
}

// check fails if decap takes a frame, or a fragment that may be ours, that a filter
// drops, other than for a third VLAN tag, or if a filter takes one that is not even the mirror's. It says
// whether decap took the frame.
func (s serviceCheck) check(t testing.TB, frame []byte) bool {
	t.Helper()
	var p decap.Packet
	r := s.decoder.Decode(frame, &p)
	ours, mirrors := r == decap.OK || r == decap.InnerFragment, accepts(t, s.plain, frame)
	if ours && !mirrors && !taggedThrice(frame) {
		t.Fatalf("decap takes a frame that the filter drops for its outer headers: % x", frame)
	}
	for i, vm := range s.filters {
		took := accepts(t, vm, frame)
		if took && !mirrors {
			t.Fatalf("filter %d takes what is not the mirror's: % x", i, frame)
		}
		if ours && mirrors && !took {
			t.Fatalf("decap takes a frame that filter %d drops: % x", i, frame)
		}
	}
	return ours
}

// tagTypes are the EtherTypes that announce a VLAN tag.
var tagTypes = []uint32{wire.EtherTypeCTag, wire.EtherTypeSTag, wire.EtherTypeQinQ}

func taggedThrice(frame []byte) bool {
	for _, at := range []int{12, 16, 20} {
		if len(frame) < at+2 || !slices.Contains(tagTypes, uint32(frame[at])<<8|uint32(frame[at+1])) {
			return false
		}
	}
	return true
}

// mutate changes a frame in one of the ways in which headers differ.
func mutate(rng *rand.Rand, frame []byte) []byte {
	interesting := []byte{0, 1, 4, 6, 8, 17, 43, 44, 45, 51, 58, 60, 0x44, 0x46, 0x4f, 0x60, 0x81, 0x86, 0x88, 0x91, 0xdd, 0xff}
	at := rng.IntN(len(frame))
	switch rng.IntN(6) {
	case 0:
		frame[at] = byte(rng.Uint32())
	case 1:
		frame[at] = interesting[rng.IntN(len(interesting))]
	case 2:
		frame[at] ^= 1 << rng.IntN(8)
	case 3: // cut
		return frame[:max(at, 1)]
	case 4: // headers put in, or padding
		put := make([]byte, []int{1, 4, 8}[rng.IntN(3)])
		for i := range put {
			put[i] = interesting[rng.IntN(len(interesting))]
		}
		return slices.Concat(frame[:at], put, frame[at:])
	default: // headers left out
		return slices.Delete(frame, at, min(at+[]int{1, 4, 8}[rng.IntN(3)], len(frame)-1))
	}
	return frame
}

func TestServiceFilterDropsNothingOfOurs(t *testing.T) {
	for _, row := range []struct {
		name   string
		mirror wire.Mirror
		frames [][]byte
		times  int
		ours   int // at least
	}{
		{"VXLAN", vxlanAt(4789), serviceFrames(t), 100_000, 10_000},
		{"any encapsulation", wire.Mirror{}, slices.Concat(serviceFrames(t), otherFrames(t)), 60_000, 6_000},
		{"some ports", wire.Mirror{Ports: []uint16{6081, 5000, 4789}}, slices.Concat(serviceFrames(t), otherFrames(t)), 60_000, 6_000},
		{"GENEVE", wire.Mirror{Encap: wire.EncapGeneve}, otherFrames(t), 60_000, 2_000},
		{"ERSPAN", wire.Mirror{Encap: wire.EncapERSPAN}, otherFrames(t), 60_000, 2_000},
		{"bare", wire.Mirror{Encap: wire.EncapNone}, bareFrames(t), 60_000, 6_000},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newServiceCheck(t, row.mirror)
			if ours := s.random(t, row.frames, row.times); ours < row.ours {
				t.Errorf("only %d frames were ours: the test shows little", ours)
			}
		})
	}
}

// random checks variants of frames, and says how many decap took.
func (s serviceCheck) random(t *testing.T, frames [][]byte, times int) (ours int) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range times {
		frame := slices.Clone(frames[rng.IntN(len(frames))])
		for range rng.IntN(4) {
			if len(frame) > 1 {
				frame = mutate(rng, frame)
			}
		}
		if s.check(t, frame) {
			ours++
		}
	}
	return ours
}

func FuzzServiceFilter(f *testing.F) {
	for _, frame := range serviceFrames(f) {
		f.Add(frame)
	}
	for _, frame := range otherFrames(f) {
		f.Add(frame)
	}
	var checks []serviceCheck
	for _, m := range []wire.Mirror{vxlanAt(4789), {}, {Encap: wire.EncapNone}} {
		checks = append(checks, newServiceCheck(f, m))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		for _, s := range checks {
			s.check(t, frame)
		}
	})
}
