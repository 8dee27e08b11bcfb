package stack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"
)

// exchange is one request of a modelled client, and where it is in what the
// client sends.
type exchange struct {
	from, to int
	startSeg int // bytes in the segment that begins it
}

// mirrored is one packet of a modelled connection as the mirror delivers it.
type mirrored struct {
	seg      Segment
	from, to int // the client's bytes in it; equal where there are none
	intact   bool
	syn, fin bool
	ack      uint32
}

// turn is what is delivered before the model lets time go by.
type turn struct {
	packets []mirrored
	pause   time.Duration
}

// connection is what a modelled client sent, and how the mirror shows it.
type connection struct {
	c         *client
	content   []byte
	exchanges []exchange
	fin, rst  bool
	turns     []turn
	lossless  bool
	mortal    bool // its targets may die
}

// mirrorModel is how bad a mirror is: chances in a thousand.
type mirrorModel struct {
	lose, repeat, displace, truncate, corrupt int
	both                                      bool // the server's direction too
	probes, strays                            int  // between requests
	skip                                      int  // packets sent before the mirror began
}

var drawMirror = rapid.Custom(func(t *rapid.T) mirrorModel {
	chance := rapid.SampledFrom([]int{0, 0, 20, 100, 300})
	return mirrorModel{
		lose: chance.Draw(t, "lose"), repeat: chance.Draw(t, "repeat"), displace: chance.Draw(t, "displace"),
		truncate: rapid.SampledFrom([]int{0, 0, 0, 50}).Draw(t, "truncate"),
		corrupt:  rapid.SampledFrom([]int{0, 0, 0, 50}).Draw(t, "corrupt"),
		both:     rapid.Bool().Draw(t, "both"),
		skip:     rapid.SampledFrom([]int{0, 0, 1, 2, 5}).Draw(t, "skip"),
		probes:   rapid.SampledFrom([]int{0, 0, 500}).Draw(t, "probes"),
		strays:   rapid.SampledFrom([]int{0, 0, 300}).Draw(t, "strays"),
	}
})

// sender builds a connection packet by packet.
type sender struct {
	*rapid.T
	conn   *connection
	serial int
	strays int    // how many there were
	acked  uint32 // what the client has acknowledged of the server's bytes
	m      mirrorModel
}

func (s *sender) chance(permille int, what string) bool {
	return permille > 0 && rapid.IntRange(0, 999).Draw(s.T, what) < permille
}

// data is the client's segment with [from, to).
func (s *sender) data(from, to int, set func(*layers.TCP)) mirrored {
	seg := s.conn.c.packet(from, s.conn.content[from:to], func(t *layers.TCP) {
		t.Ack = s.acked
		if set != nil {
			set(t)
		}
	})
	return mirrored{seg: seg, from: from, to: to, intact: true, ack: s.acked}
}

// serverAck is the real server's acknowledgement of everything before off.
func (s *sender) serverAck(off int, set func(*layers.TCP)) mirrored {
	c := *s.conn.c
	c.src, c.dst = c.dst, c.src
	seg := c.packet(0, nil, func(t *layers.TCP) {
		t.Seq, t.Ack, t.Window = s.acked, s.conn.c.isn+1+uint32(off), 65535
		if set != nil {
			set(t)
		}
	})
	seg.FromServer = true
	return mirrored{seg: seg}
}

// request adds a request whose body may look like one, and what the client
// sends for it: cut at random places, some of it again with other boundaries.
func (s *sender) request() []mirrored {
	conn := s.conn
	from := len(conn.content)
	size := rapid.SampledFrom([]int{0, 1, 400, 2000, 9000, 40000}).Draw(s.T, "size")
	s.serial++
	head := fmt.Sprintf("POST /%d/%d HTTP/1.1\r\nContent-Length: %d\r\n\r\n", conn.c.src.Port(), s.serial, size)
	body := pattern(size + 64*s.serial)[64*s.serial:]
	lookalike := -1
	if size > 1000 && rapid.IntRange(0, 3).Draw(s.T, "lookalike") == 0 {
		lookalike = from + len(head) + rapid.IntRange(0, size-200).Draw(s.T, "at")
		copy(body[lookalike-from-len(head):], fmt.Sprintf("GET /evil/%d/%d HTTP/1.1\r\nHost: a\r\n\r\n", conn.c.src.Port(), s.serial))
	}
	conn.content = append(append(conn.content, head...), body...)
	to := len(conn.content)
	var out []mirrored
	for off := from; off < to; {
		n := min(rapid.SampledFrom([]int{1460, 1460, 1460, 30, 700, 8900}).Draw(s.T, "segment"), to-off)
		if off < lookalike && off+n > lookalike {
			n = lookalike - off
		}
		// Stacks set PSH where a write ends, and not in a probe.
		out = append(out, s.data(off, off+n, func(t *layers.TCP) { t.PSH = off+n == to || off+n == lookalike }))
		if off == from {
			conn.exchanges = append(conn.exchanges, exchange{from, to, n})
		}
		if s.chance(50, "retransmit") {
			a := rapid.IntRange(from, off).Draw(s.T, "refrom")
			// A single byte in the middle of a write would be a window probe.
			b := min(to, a+rapid.IntRange(2, 4000).Draw(s.T, "relen"))
			out = append(out, s.data(a, b, func(t *layers.TCP) { t.PSH = b == to }))
		}
		off += n
		if s.m.both && s.chance(500, "server ack") {
			out = append(out, s.serverAck(off, nil))
		}
	}
	if s.m.both {
		out = append(out, s.serverAck(to, nil))
	}
	// The answer comes, and is acknowledged, before the next request.
	s.acked += uint32(rapid.IntRange(1, 100000).Draw(s.T, "answer"))
	if rapid.Bool().Draw(s.T, "bare ack") {
		out = append(out, s.data(to, to, nil))
	}
	return out
}

// mangle is what the mirror makes of packets.
func (s *sender) mangle(in []mirrored) []mirrored {
	var out []mirrored
	for _, p := range in {
		switch {
		case s.m.skip > 0:
			s.m.skip--
			s.conn.lossless = false
			continue
		case s.chance(s.m.lose, "lost"):
			s.conn.lossless = false
			continue
		case p.to > p.from && s.chance(s.m.truncate, "truncated"):
			p.seg.IP = p.seg.IP[:len(p.seg.IP)-rapid.IntRange(1, p.to-p.from).Draw(s.T, "by")]
			p.seg.Truncated, p.intact = true, false
			s.conn.lossless = false
		case p.to > p.from && s.chance(s.m.corrupt, "corrupted") && !unfinished(p.seg.IP):
			// The server drops it as well: the client sends it again.
			bad := p
			bad.seg.IP = bytes.Clone(p.seg.IP)
			bad.seg.IP[len(bad.seg.IP)-1] ^= 0x10
			bad.intact = false
			out = append(out, bad)
		}
		out = append(out, p)
		if s.chance(s.m.repeat, "repeated") {
			out = append(out, p)
		}
	}
	for i := range out {
		if s.chance(s.m.displace, "displaced") {
			j := min(len(out)-1, i+rapid.IntRange(1, 30).Draw(s.T, "places"))
			out[i], out[j] = out[j], out[i]
		}
	}
	return out
}

// unfinished reports whether the checksum of an IPv4 packet is, by chance, what
// checksum offload would have left there: the sum of the pseudo-header.
func unfinished(ip []byte) bool {
	with := uint32(6 + len(ip) - 20)
	for i := 12; i < 20; i += 2 {
		with += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	without := with - uint32(len(ip)-20)
	field := uint32(binary.BigEndian.Uint16(ip[36:]))
	return field == with%0xffff || field == without%0xffff
}

// probe is a keep-alive probe: the last byte once more, but with any value in it.
func (s *sender) probe() mirrored {
	end := len(s.conn.content)
	return mirrored{seg: s.conn.c.packet(end-1, []byte{rapid.Byte().Draw(s.T, "value")}, func(t *layers.TCP) { t.Ack = s.acked })}
}

// stray is a packet that is of another connection on the same ports: far ahead of
// what this one sends, and of what its window can hold.
func (s *sender) stray() mirrored {
	// No two of them agree: two that do are what the end of a lost burst looks like.
	s.strays++
	off := (4+s.strays*97%240)<<22 + rapid.IntRange(0, 3<<20).Draw(s.T, "far")
	if kind := rapid.SampledFrom([]string{"data", "FIN", "RST", "ACK", "server"}).Draw(s.T, "stray"); kind == "server" {
		return s.serverAck(off, nil)
	} else {
		var payload []byte
		if kind == "data" {
			payload = []byte("GET /stray HTTP/1.1\r\n\r\n")
		}
		return mirrored{seg: s.conn.c.packet(off, payload, func(t *layers.TCP) {
			t.Ack, t.FIN, t.RST = s.acked, kind == "FIN", kind == "RST"
		})}
	}
}

// between adds what comes between two requests and is no part of the stream.
func (s *sender) between() {
	if s.conn.lossless && s.chance(s.m.strays, "stray?") { // else there may be no stream beside which it is one
		out := []mirrored{s.stray()}
		if s.chance(s.m.repeat, "repeated") {
			out = append(out, out[0])
		}
		s.conn.turns = append(s.conn.turns, turn{out, s.pause()})
	}
	if s.chance(s.m.probes, "probe?") {
		// A client probes when it has been silent, and hardly ever has something to send just then.
		after := rapid.SampledFrom([]time.Duration{100 * time.Millisecond, 1500 * time.Millisecond, 5 * time.Second}).Draw(s.T, "after it")
		s.conn.turns = append(s.conn.turns, turn{nil, 2 * time.Second}, turn{s.mangle([]mirrored{s.probe()}), after})
	}
}

func (s *sender) pause() time.Duration {
	return rapid.SampledFrom([]time.Duration{0, time.Millisecond, 200 * time.Millisecond, 3 * time.Second}).Draw(s.T, "pause")
}

func (s *sender) turn(packets []mirrored) {
	s.conn.turns = append(s.conn.turns, turn{s.mangle(packets), s.pause()})
}

// drawConnection makes a connection of c, from its SYN to its end.
func drawConnection(t *rapid.T, c *client, m mirrorModel) *connection {
	s := &sender{T: t, conn: &connection{c: c, lossless: true}, m: m, acked: rapid.Uint32().Draw(t, "server's")}
	syn := mirrored{seg: c.syn(), intact: true, syn: true}
	packets := []mirrored{syn}
	if m.both {
		packets = append(packets, s.serverAck(0, func(t *layers.TCP) {
			t.SYN, t.Seq = true, s.acked-1
			t.Options = []layers.TCPOption{{OptionType: layers.TCPOptionKindWindowScale, OptionData: []byte{7}}}
		}))
	}
	packets = append(packets, s.data(0, 0, nil))
	for range rapid.IntRange(1, 6).Draw(t, "requests") {
		s.turn(append(packets, s.request()...))
		packets = nil
		s.between()
	}
	end := len(s.conn.content)
	switch rapid.SampledFrom([]string{"fin", "fin", "rst", "silence", "server"}).Draw(t, "end") {
	case "fin":
		p := s.data(end, end, func(t *layers.TCP) { t.FIN = true })
		p.fin, s.conn.fin = true, true
		s.turn([]mirrored{p})
	case "rst":
		s.conn.rst = true
		s.turn([]mirrored{s.data(end, end, func(t *layers.TCP) { t.RST = true })})
	case "server":
		if m.both {
			s.conn.rst = true
			s.turn([]mirrored{s.serverAck(end, func(t *layers.TCP) { t.RST = true })})
		}
	}
	return s.conn
}

// String lists what the mirror delivered.
func (c *connection) String() string {
	var b strings.Builder
	for _, t := range c.turns {
		for _, p := range t.packets {
			fmt.Fprintf(&b, "\n\t[%d, %d) ack %d", p.from, p.to, p.ack)
			switch {
			case p.seg.FromServer:
				tcp := p.seg.IP[p.seg.TCP:]
				fmt.Fprintf(&b, " by the server, seq %d ack +%d flags %#x", binary.BigEndian.Uint32(tcp[4:]), binary.BigEndian.Uint32(tcp[8:])-c.c.isn-1, tcp[13])
			case p.syn:
				b.WriteString(" SYN")
			case p.fin:
				b.WriteString(" FIN")
			case !p.intact:
				b.WriteString(" damaged")
			}
		}
		fmt.Fprintf(&b, "\n\tpause %v", t.pause)
	}
	return b.String()
}
