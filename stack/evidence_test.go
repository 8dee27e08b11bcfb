package stack

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
)

func TestMark(t *testing.T) {
	const near = 1000
	for _, tc := range []struct {
		name string
		to   []uint32
		ok   []bool
		at   uint32
	}{
		{"the first is believed", []uint32{7}, []bool{true}, 7},
		{"a step forward", []uint32{7, 8}, []bool{true, true}, 8},
		{"as far as near", []uint32{0, near}, []bool{true, true}, near},
		{"further is an outlier", []uint32{0, near + 1}, []bool{true, false}, 0},
		{"a second that agrees is believed", []uint32{0, 5000, 5000 + near}, []bool{true, false, true}, 5000 + near},
		{"a second that does not agree is not", []uint32{0, 5000, 5001 + near}, []bool{true, false, false}, 0},
		{"an older one changes nothing", []uint32{5000, 3}, []bool{true, true}, 5000},
		{"the same again is not a second", []uint32{0, 5000, 5000}, []bool{true, false, false}, 0},
		{"it goes on beside an outlier", []uint32{0, 5000, 10}, []bool{true, false, true}, 10},
		{"an outlier that was left behind is no support", []uint32{0, 5000, 10, 5000}, []bool{true, false, true, false}, 10},
		{"around the end of sequence space", []uint32{0xffffff00, 100}, []bool{true, true}, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var m mark
			for i, to := range tc.to {
				if ok := m.move(to, near); ok != tc.ok[i] {
					t.Errorf("move %d, to %d: %v, want %v", i+1, to, ok, tc.ok[i])
				}
			}
			if m.at != tc.at {
				t.Errorf("at %d, want %d", m.at, tc.at)
			}
		})
	}
}

// answer is a segment of the real server's, which has received off bytes of the
// client's stream; seq is where its payload begins.
func (c *client) answer(seq uint32, off int, payload string, set func(*layers.TCP)) Segment {
	d := *c
	d.src, d.dst = c.dst, c.src
	d.options = nil
	m := d.packet(0, []byte(payload), func(t *layers.TCP) {
		t.Seq, t.Ack = seq, c.isn+1+uint32(off)
		if set != nil {
			set(t)
		}
	})
	m.FromServer = true
	return m
}

// accepts is the server's SYN-ACK: its first byte is at 1000, and its window, which is
// window here, is scaled by 2^scale later.
func (c *client) accepts(window uint16, scale byte) Segment {
	return c.answer(999, 0, "", func(t *layers.TCP) {
		t.SYN, t.Window = true, window
		t.Options = []layers.TCPOption{{OptionType: layers.TCPOptionKindWindowScale, OptionData: []byte{scale}}}
	})
}

// stamped is a client whose segments carry a timestamp.
func (c *client) stamped(val uint32) *client {
	d := *c
	stamps := binary.BigEndian.AppendUint32(nil, val)
	d.options = []layers.TCPOption{
		{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop},
		{OptionType: layers.TCPOptionKindTimestamps, OptionData: binary.BigEndian.AppendUint32(stamps, 0)},
	}
	return &d
}

const noContent = "HTTP/1.1 204 No Content\r\n\r\n" // 27 bytes

// A forged segment with other bytes than the client's comes first. The real server
// drops it (RFC 9293, section 3.10.7.4; RFC 5961, sections 3 and 5; RFC 7323, section
// 5.3), so that the client's bytes have to win.
func TestWhatTheServerDropsIsNotInTheStream(t *testing.T) {
	const n = len(get1)
	evil := []byte("GET /evil HTTP/1.1\r")
	with := func(set func(*layers.TCP)) func(c *client) Segment {
		return func(c *client) Segment { return c.packet(n, evil, set) }
	}
	for _, tc := range []struct {
		name   string
		forged func(c *client) Segment
		twoWay bool // the evidence is the server's direction
		why    outcome.Drop
	}{
		{"data without ACK", with(func(t *layers.TCP) { t.ACK = false }), false, outcome.DropRejected},
		{"a FIN without ACK", func(c *client) Segment {
			return c.packet(n, nil, func(t *layers.TCP) { t.ACK, t.FIN = false, true })
		}, false, outcome.DropRejected},
		{"an acknowledgement older than any window", with(func(t *layers.TCP) { t.Ack = 0xffffffff - 1<<30 }), false, outcome.DropRejected},
		{"an acknowledgement older than the client's window", with(func(t *layers.TCP) { t.Ack = 0xffffffff - 65535<<7 }), true, outcome.DropRejected},
		{"an acknowledgement of the server's SYN only in part", with(func(t *layers.TCP) { t.Ack = 999 }), true, outcome.DropRejected},
		{"an acknowledgement of what the server has not sent", with(func(t *layers.TCP) { t.Ack = 1028 }), true, outcome.DropRejected},
		{"and of a place that is far away", with(func(t *layers.TCP) { t.Ack = 1027 + 1<<30 }), true, outcome.DropRejected},
		{"a timestamp that is older than any delay", func(c *client) Segment {
			return c.stamped(1_000_000-5001).packet(n, evil, nil)
		}, false, outcome.DropRejected},
		{"the pseudo-header's sum among full checksums", func(c *client) Segment {
			m := c.data(n, evil)
			binary.BigEndian.PutUint16(m.IP[m.TCP+16:], pseudoSum(m.IP, len(m.IP)-m.TCP))
			return m
		}, false, outcome.DropBadChecksum},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 0xffffffff-5).stamped(1_000_000)
			s.Inject([]Segment{c.syn()})
			if tc.twoWay {
				s.Inject([]Segment{c.accepts(65535, 7)})
			}
			s.Inject([]Segment{c.ack(0), c.data(0, []byte(get1))})
			if tc.twoWay {
				s.Inject([]Segment{c.answer(1000, n, noContent, nil)})
			}
			s.pass(100 * time.Millisecond)
			s.Inject([]Segment{tc.forged(c)})
			s.pass(10 * time.Millisecond)
			next := func(t *layers.TCP) { t.Ack = 1027 }
			s.Inject([]Segment{c.packet(n, []byte(get2), next), c.packet(2*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 1027 })})
			s.pass(200 * time.Millisecond)
			s.is(c, text(get1+get2, nil))
			if got := s.Stats().Dropped[tc.why]; got != 1 {
				t.Errorf("%d packets dropped as %v, want 1: %v", got, tc.why, s.Stats().Dropped)
			}
		})
	}
}

// What comes late or odd, and the real server takes, is taken.
func TestWhatTheServerTakesIsInTheStream(t *testing.T) {
	const n = len(get1)
	for _, tc := range []struct {
		name string
		odd  func(c *client) Segment
	}{
		{"an acknowledgement of the window before", func(c *client) Segment {
			return c.packet(n, []byte(get2), func(t *layers.TCP) { t.Ack = 1000 })
		}},
		{"a timestamp older than the newest by what a mirror delays", func(c *client) Segment {
			return c.stamped(1_000_000-5000).data(n, []byte(get2))
		}},
		{"a timestamp behind the end of the clock's range", func(c *client) Segment {
			return c.stamped(1_000_000+1<<31-1).data(n, []byte(get2))
		}},
		{"no timestamp, as some middleboxes leave it", func(c *client) Segment {
			d := *c
			d.options = nil
			return d.data(n, []byte(get2))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 7).stamped(1_000_000)
			s.Inject([]Segment{c.syn(), c.accepts(65535, 7), c.ack(0), c.data(0, []byte(get1)), c.answer(1000, n, noContent, nil)})
			s.pass(100 * time.Millisecond)
			s.Inject([]Segment{c.packet(n, nil, func(t *layers.TCP) { t.Ack = 1027 }), tc.odd(c)})
			s.pass(200 * time.Millisecond)
			s.is(c, text(get1+get2, outcome.EndShutdown))
		})
	}
}

// The client acknowledges what the mirror shows later: its bytes wait beside the
// stream, and are not lost.
func TestTheServersBytesComeLate(t *testing.T) {
	const n = len(get1)
	s := newTimed(t, nil)
	c := newClient(t, 7)
	s.Inject([]Segment{c.syn(), c.accepts(65535, 7), c.ack(0), c.data(0, []byte(get1))})
	s.pass(100 * time.Millisecond)
	s.Inject([]Segment{c.packet(n, []byte(get2), func(t *layers.TCP) { t.Ack = 1027 })})
	s.pass(20 * time.Millisecond)
	if got := s.Stats(); got.Held != 1 || got.BytesHeld == 0 {
		t.Errorf("%d packets held, want the request that acknowledges the unknown", got.Held)
	}
	s.Inject([]Segment{c.answer(1000, n, noContent, nil), c.packet(2*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 1027 })})
	s.pass(200 * time.Millisecond)
	s.is(c, text(get1+get2, nil))
}

// The server was seen to send what a request acknowledges only after that came. It may have
// dropped the request, and does not acknowledge it. But the client sends it again, here in
// part: it is the client's.
func TestTheClientSendsAgainWhatIsDoubtful(t *testing.T) {
	const n = len(get1)
	s := newTimed(t, nil)
	c := newClient(t, 7)
	shown := c.answer(1000, n, noContent, nil)
	again := func(b string) Segment { return c.packet(n, []byte(b), func(t *layers.TCP) { t.Ack = 1027 }) }
	s.Inject([]Segment{c.syn(), c.accepts(65535, 7), c.ack(0), c.data(0, []byte(get1)), again(get2)})
	s.pass(20 * time.Millisecond)
	s.Inject([]Segment{shown})
	s.pass(300 * time.Millisecond)
	s.Inject([]Segment{shown, again(get2[:7])})
	s.pass(2 * time.Second)
	s.is(c, text(get1+get2, outcome.EndShutdown))
}

// The mirror stops showing the server: what the client acknowledges is no longer
// impossible.
func TestTheServerIsNotShownAnyMore(t *testing.T) {
	const n = len(get1)
	s := newTimed(t, nil)
	c := newClient(t, 7)
	s.Inject([]Segment{c.syn(), c.accepts(65535, 7), c.ack(0), c.data(0, []byte(get1))})
	s.pass(100 * time.Millisecond)
	for i := range 3 {
		s.Inject([]Segment{c.packet((i+1)*n, []byte(get2), func(t *layers.TCP) { t.Ack = uint32(2000 + 1000*i) })})
		s.pass(200 * time.Millisecond)
	}
	s.Inject([]Segment{c.packet(4*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 4000 })})
	s.pass(200 * time.Millisecond)
	s.is(c, text(get1+get2+get2+get2, nil))
}

// Most of a short connection was lost, with all that the server sent but its SYN-ACK and its
// last ACK. That one shows that the request before it was right; not the FIN, which
// acknowledges more.
func TestTheServersLastACKProvesTheConnection(t *testing.T) {
	const n = len(get1)
	s := newTimed(t, nil)
	c := newClient(t, 7)
	s.Inject([]Segment{c.accepts(65535, 7), c.packet(2*n, []byte(get2), func(t *layers.TCP) { t.Ack = 1002 }), c.packet(4*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 1004 }), c.answer(1003, 4*n, "", nil)})
	s.pass(3 * time.Second)
	s.is(c, text("", outcome.EndGap), text(get2, outcome.EndShutdown))
}

// What then waits beside the stream is believed where it goes on, and nowhere else.
func TestAStrayBesideAServerThatIsNotShownAnyMore(t *testing.T) {
	const n = len(get1)
	s := newTimed(t, nil)
	c := newClient(t, 7)
	s.Inject([]Segment{c.syn(), c.accepts(65535, 7), c.ack(0), c.data(0, []byte(get1))})
	s.pass(100 * time.Millisecond)
	s.Inject([]Segment{c.packet(n, []byte(get2), func(t *layers.TCP) { t.Ack = 2000 }), c.data(500<<20, []byte(get3))})
	s.pass(3 * time.Second)
	s.Inject([]Segment{c.packet(2*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 3000 })})
	s.pass(2 * time.Second)
	s.is(c, text(get1+get2, nil))
}

// A segment further ahead than the server's window, with its scale, is none that the
// server took; one within it says that others were lost.
func TestTheServersWindow(t *testing.T) {
	const n = len(get1)
	for _, tc := range []struct {
		name   string
		window uint16
		scale  byte
		ahead  int
		want   error
	}{
		{"just inside, without a scale", 1000, 0, 999, outcome.EndGap},
		{"just outside, without a scale", 1000, 0, 1000, outcome.EndShutdown},
		{"just inside, scaled", 1000, 7, 1000<<7 - 1, outcome.EndGap},
		{"just outside, scaled", 1000, 7, 1000 << 7, outcome.EndShutdown},
		{"just inside, by a scale above 14, which is 14", 1000, 20, 1000<<14 - 1, outcome.EndGap},
		{"just outside, by a scale above 14, which is 14", 1000, 20, 1000 << 14, outcome.EndShutdown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			c := newClient(t, 0xfffffff0)
			s.Inject([]Segment{c.syn(), c.accepts(500, tc.scale), c.ack(0), c.data(0, []byte(get1)),
				c.answer(1000, n, noContent, func(t *layers.TCP) { t.Window = tc.window })})
			s.pass(100 * time.Millisecond)
			s.Inject([]Segment{c.packet(n+tc.ahead, []byte("no request"), func(t *layers.TCP) { t.Ack = 1027 })})
			s.pass(2 * time.Second)
			s.is(c, text(get1, tc.want))
		})
	}
}

// A forged segment acknowledges what nobody has sent, on a connection that is silent
// then. Nothing goes on from it, so that it must not be there when the client's next
// request comes, however its length differs.
func TestAForgedAcknowledgementOnASilentConnection(t *testing.T) {
	const n = len(get1)
	for _, tc := range []struct {
		name       string
		twoWay     bool
		challenged bool // the server answers the forged segment at once (RFC 5961, section 5.2)
		ack        uint32
		silence    time.Duration
	}{
		{"answered at once", true, true, 1027 + 5000, 3 * time.Second},
		{"not answered", true, false, 1027 + 5000, 400 * time.Millisecond},
		{"not answered, and far away", true, false, 1027 + 1<<29, 3 * time.Second},
		{"with the client only shown", false, false, 1027 + 1<<29, 3 * time.Second},
	} {
		for _, forged := range []string{"G", "GET /evil", "GET /evil HTTP/1.1\r\nHost: longer\r\n\r\n"} {
			t.Run(fmt.Sprint(tc.name, " ", len(forged)), func(t *testing.T) {
				s := newTimed(t, nil)
				c := newClient(t, 7)
				play := func(m Segment) {
					if tc.twoWay || !m.FromServer {
						s.Inject([]Segment{m})
					}
				}
				for _, m := range []Segment{c.syn(), c.accepts(65535, 7), c.ack(0), c.data(0, []byte(get1)), c.answer(1000, n, noContent, nil)} {
					play(m)
				}
				s.pass(100 * time.Millisecond)
				play(c.packet(n, []byte(forged), func(t *layers.TCP) { t.Ack, t.PSH = tc.ack, true }))
				if tc.challenged {
					play(c.answer(1027, n, "", nil))
				}
				s.pass(tc.silence)
				play(c.packet(n, []byte(get2), func(t *layers.TCP) { t.Ack, t.PSH = 1027, true }))
				play(c.answer(1027, 2*n, noContent, nil))
				s.pass(3 * time.Second)
				play(c.packet(2*n, nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 1054 }))
				s.pass(2 * time.Second)
				s.is(c, text(get1+get2, nil))
			})
		}
	}
}

// Where the mirror shows no server any more, a client's packet behind a segment tells that
// it was right, also where it acknowledges more than was seen to be sent.
func TestTheClientGoesOnFromAnAcknowledgement(t *testing.T) {
	const n = len(get1)
	s := newTimed(t, nil)
	c := newClient(t, 7)
	s.Inject(append(c.opening(), c.data(0, []byte(get1))))
	s.pass(100 * time.Millisecond)
	s.Inject([]Segment{c.packet(n, []byte(get2), func(t *layers.TCP) { t.Ack = 1<<29 + 1000 }),
		c.packet(2*n, nil, func(t *layers.TCP) { t.Ack = 1<<29 + 1027 })})
	s.pass(100 * time.Millisecond)
	s.is(c, text(get1+get2, outcome.EndShutdown))
}

// The server acknowledges a part of what waits beside the stream, for the mirror has shown a
// super-frame: it has the rest of that part from nowhere else.
func TestTheServerHasAPartOfWhatIsDoubtful(t *testing.T) {
	const n, m = len(get1), 47
	put := "PUT / HTTP/1.1\r\nContent-Length: 2009\r\n\r\n" + string(pattern(2009))
	s := newTimed(t, nil)
	c := newClient(t, 100)
	s.Inject([]Segment{c.data(0, []byte(get1)), c.answer(1000, n, "", nil)})
	s.pass(2 * time.Second)
	later := func(t *layers.TCP) { t.Ack = 1001 }
	s.Inject([]Segment{c.packet(n, []byte(put[:m]), later), c.packet(n, []byte(put), later)})
	s.pass(time.Millisecond)
	s.Inject([]Segment{c.answer(1001, n+1507, "", nil)})
	s.pass(100 * time.Millisecond)
	s.Inject([]Segment{c.answer(1001, n+1537, "", nil)})
	s.pass(time.Second)
	s.Inject([]Segment{c.packet(n+len(put), nil, func(t *layers.TCP) { t.FIN, t.Ack = true, 1001 })})
	s.pass(time.Second)
	s.is(c, text(get1+put, nil))
}
