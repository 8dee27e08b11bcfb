package corpus

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"time"
)

// step is the time between two frames that follow each other.
const step = 300 * time.Microsecond

// scene is a capture in the making. The clock moves with every frame.
type scene struct {
	shape
	clock  time.Duration
	frames []Frame
	conns  int
	seed   uint32
	want   []Stream
	or     [][]Stream
	counts map[string]int64
	mirror Mirror
	wrap   func(ip []byte) [][]byte // makes frames of a packet; nil: ethernet
}

// newScene returns a scene whose ports and sequence numbers depend on its name.
func newScene(sh shape, name string) *scene {
	h := fnv.New32a()
	h.Write([]byte(name))
	return &scene{shape: sh, seed: h.Sum32(), counts: map[string]int64{}}
}

// wait lets time pass in which no frame is captured.
func (s *scene) wait(d time.Duration) { s.clock += d }

// eof and reset add a stream to what the target must get.
func (s *scene) eof(bytes string)   { s.want = append(s.want, Stream{[]byte(bytes), "eof"}) }
func (s *scene) reset(bytes string) { s.want = append(s.want, Stream{[]byte(bytes), "reset"}) }

// alternative adds a list of streams that is as right as the wanted one.
func (s *scene) alternative(streams ...Stream) { s.or = append(s.or, streams) }

// counted adds a figure that netmirror must report.
func (s *scene) counted(key string, n int64) { s.counts[key] = n }

func (s *scene) frame(f Frame) {
	f.At = s.clock
	s.frames = append(s.frames, f)
	s.clock += step
}

// address returns the address of host n in the scene's family.
func (s *scene) address(n uint16) netip.Addr {
	if s.ipv6 {
		a := [16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 5: 0x17}
		binary.BigEndian.PutUint16(a[14:], n)
		return netip.AddrFrom16(a)
	}
	a := [4]byte{198, 51, 100, byte(n)}
	return netip.AddrFrom4(a)
}
