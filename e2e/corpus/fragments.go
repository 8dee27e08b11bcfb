package corpus

import (
	"encoding/binary"
	"time"
)

// fragments cuts a packet into fragments with up to size bytes of its payload
// each (RFC 791, section 3.2, and RFC 8200, section 4.5).
func fragments(ip []byte, size int) [][]byte {
	head := headerLen(ip)
	var all [][]byte
	for off := 0; head+off < len(ip); off += size {
		end := min(head+off+size, len(ip))
		more := 0
		if end < len(ip) {
			more = 1
		}
		f := append([]byte(nil), ip[:head]...)
		if head == 20 {
			binary.BigEndian.PutUint16(f[2:], uint16(head+end-head-off))
			binary.BigEndian.PutUint16(f[6:], uint16(more<<13|off>>3))
			binary.BigEndian.PutUint16(f[10:], 0)
			binary.BigEndian.PutUint16(f[10:], headerSum(f))
		} else {
			binary.BigEndian.PutUint16(f[4:], uint16(8+end-head-off))
			f = append(f, f[6], 0, byte(off>>8), byte(off)|byte(more), 0, 0, 0x77, ip[head+7])
			f[6] = 44 // IPv6-Frag
		}
		all = append(all, append(f, ip[head+off:end]...))
	}
	return all
}

// headerSum is the checksum of RFC 791, section 3.1.
func headerSum(h []byte) uint16 {
	sum := uint32(0)
	for ; len(h) > 0; h = h[2:] {
		sum += uint32(binary.BigEndian.Uint16(h))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// inFragments cuts a packet into fragments and sends those that order names.
func inFragments(size int, order ...int) func([]byte) [][]byte {
	return func(ip []byte) [][]byte {
		all := fragments(ip, size)
		sent := make([][]byte, len(order))
		for i, n := range order {
			sent[i] = all[n]
		}
		return sent
	}
}

func fragmented() []script {
	var scripts []script
	for _, tt := range []struct {
		name  string
		shape func([]byte) [][]byte
	}{
		{"two fragments", inFragments(1200, 0, 1)},
		{"five fragments", inFragments(400, 0, 1, 2, 3, 4)},
		{"fragments in reverse order", inFragments(400, 4, 3, 2, 1, 0)},
		{"fragments in some order, one of them twice", inFragments(400, 2, 0, 0, 3, 1, 4)},
	} {
		scripts = append(scripts, script{tt.name + " are a packet", []shape{two, six, onePlain}, nil, func(s *scene) {
			c := s.open()
			sent := c.request("/small")
			large := post("/large", filler(1700))
			c.emit(seg{flags: "PA", data: large, shape: tt.shape, fresh: true})
			c.next += uint32(len(large))
			c.answered()
			s.eof(sent + large + c.requests("/behind"))
			c.close()
			s.counted("end_complete", 1)
		}})
	}
	scripts = append(scripts, oddFragments()...)
	return append(scripts, script{"a packet one of whose fragments is lost is lost", []shape{two, six}, nil, func(s *scene) {
		c := s.open()
		s.reset(c.request("/small"))
		large := post("/large", filler(1700))
		c.emit(seg{flags: "PA", data: large, shape: inFragments(400, 0, 1, 2, 4)})
		c.next += uint32(len(large))
		c.answered()
		s.wait(100 * time.Millisecond)
		s.eof(c.requests("/behind", "/more"))
		c.close()
		s.counted("end_gap", 1)
	}})
}

// overlapped cuts a packet in two and sends, in front, a false first fragment
// that overlaps with the second.
func overlapped(ip []byte) [][]byte {
	real := fragments(ip, 800)
	false1 := fragments(ip, 1200)[0]
	for i := len(false1) - 600; i < len(false1); i++ {
		false1[i] ^= 0x20
	}
	return [][]byte{false1, real[1], real[0], real[2]}
}

// oddFragments are the scripts with fragments that mean something else.
func oddFragments() []script {
	return []script{
		{"fragments that overlap are dropped, and the repeat counts (RFC 5722, 4)", []shape{two, six}, nil, func(s *scene) {
			c := s.open()
			sent := c.request("/small")
			large := post("/large", filler(1700))
			c.emit(seg{flags: "PA", data: large, shape: overlapped})
			s.wait(20 * time.Millisecond)
			c.emit(seg{flags: "PA", data: large, fresh: true})
			c.next += uint32(len(large))
			c.answered()
			s.eof(sent + large + c.requests("/behind"))
			c.close()
		}},
		{"a fragment that is the whole packet is a packet (RFC 6946)", []shape{six}, nil, func(s *scene) {
			c := s.open()
			r := get("/atomic")
			c.emit(seg{flags: "PA", data: r, shape: inFragments(4000, 0), fresh: true})
			c.next += uint32(len(r))
			c.answered()
			s.eof(r + c.requests("/behind"))
			c.close()
		}},
		{"fragments of two packets in turn are two packets", []shape{two, onePlain}, nil, func(s *scene) {
			c, d := s.open(), s.open()
			from := len(s.frames)
			large := post("/large", filler(1700))
			for _, x := range []*conn{c, d} {
				x.emit(seg{flags: "PA", data: large, shape: inFragments(800, 0, 1, 2), fresh: true})
				x.next += uint32(len(large))
			}
			f := s.frames[from:]
			for i, j := range []int{0, 3, 1, 4, 2, 5} {
				f[i].Bytes, f[j].Bytes = f[j].Bytes, f[i].Bytes
			}
			for _, x := range []*conn{c, d} {
				x.answered()
				s.eof(large + x.requests("/behind"))
				x.close()
			}
		}},
	}
}
