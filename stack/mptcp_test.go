package stack

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/google/gopacket/layers"

	"netmirror/outcome"
)

// multi is a client that speaks MPTCP (RFC 8684). Its data sequence numbers and those
// of the server come from the keys.
type multi struct {
	*client
	version              byte
	clientKey, serverKey []byte
	token                uint32
	dsn, answers         uint64 // of the first byte, of client and server
}

func newMulti(t testing.TB, version byte) *multi {
	m := &multi{client: newClient(t, 0xffff_ff00), version: version, clientKey: []byte("client's"), serverKey: []byte("server's")}
	digest := func(key []byte) (token uint32, idsn uint64) {
		if version == 0 {
			sum := sha1.Sum(key)
			return binary.BigEndian.Uint32(sum[:4]), binary.BigEndian.Uint64(sum[12:])
		}
		sum := sha256.Sum256(key)
		return binary.BigEndian.Uint32(sum[:4]), binary.BigEndian.Uint64(sum[24:])
	}
	_, m.dsn = digest(m.clientKey)
	m.token, m.answers = digest(m.serverKey)
	m.dsn, m.answers = m.dsn+1, m.answers+1
	return m
}

// on is the same client on another subflow.
func (m *multi) on(addr string) *multi {
	c, other := *m.client, *m
	c.src, c.isn = netip.MustParseAddrPort(addr), m.isn*3+9
	other.client = &c
	return &other
}

func (m *multi) segment(off int, data, flags string, opts ...[]byte) Segment {
	return m.packet(off, []byte(data), func(t *layers.TCP) {
		t.Ack, t.ACK = 1, flags != "S"
		for _, f := range flags {
			t.SYN, t.FIN, t.RST = t.SYN || f == 'S', t.FIN || f == 'F', t.RST || f == 'R'
		}
		for _, o := range opts {
			t.Options = append(t.Options, layers.TCPOption{OptionType: 30, OptionLength: uint8(len(o) + 2), OptionData: o})
		}
	})
}

func (m *multi) synCapable() Segment {
	if m.version == 0 {
		return m.segment(-1, "", "S", append([]byte{0, 1}, m.clientKey...))
	}
	return m.segment(-1, "", "S", []byte{m.version, 1})
}

func (m *multi) keys() Segment {
	return m.segment(0, "", "", append(append([]byte{m.version, 1}, m.clientKey...), m.serverKey...))
}

// dss is a mapping of n bytes from off in the subflow to at in the data.
func (m *multi) dss(off, at, n int) []byte {
	b := binary.BigEndian.AppendUint64([]byte{0x20, 0x0d}, m.dsn+uint64(at))
	b = append(b[:2], append(binary.BigEndian.AppendUint32(nil, uint32(m.answers)), b[2:]...)...)
	b = binary.BigEndian.AppendUint32(b, uint32(off+1))
	return binary.BigEndian.AppendUint16(b, uint16(n))
}

// send is data with a mapping of their own.
func (m *multi) send(off, at int, data string) Segment {
	return m.segment(off, data, "", m.dss(off, at, len(data)))
}

func (m *multi) dataFIN(off, at int) Segment {
	o := m.dss(-1, at, 1)
	o[1] |= 0x10
	return m.segment(off, "", "", o)
}

func (m *multi) synJoin(token uint32) Segment {
	return m.segment(-1, "", "S", append(binary.BigEndian.AppendUint32([]byte{0x10, 1}, token), 1, 2, 3, 4))
}

func (m *multi) ackJoin() Segment {
	return m.segment(0, "", "", append([]byte{0x10, 0}, make([]byte, 20)...))
}

// fail is MP_FAIL with the data sequence number of a place.
func (m *multi) fail(at int) []byte {
	return binary.BigEndian.AppendUint64([]byte{0x60, 0}, m.dsn+uint64(at))
}

// fromServer is a segment of the server's without data on the client's subflow.
func (m *multi) fromServer(flags string, opts ...[]byte) Segment {
	server, turned := *m, *m.client
	turned.src, turned.dst, turned.isn = m.dst, m.src, 0
	server.client = &turned
	seg := server.segment(0, "", flags, opts...)
	seg.FromServer = true
	return seg
}

// accepts is the SYN-ACK, with the server's key.
func (m *multi) accepts() Segment {
	option := append([]byte{m.version, 1}, m.serverKey...)
	return m.answer(0, 0, "", func(t *layers.TCP) {
		t.SYN = true
		t.Options = []layers.TCPOption{{OptionType: 30, OptionLength: uint8(len(option) + 2), OptionData: option}}
	})
}

const otherPath = "192.0.2.8:40001"

func TestMultipath(t *testing.T) {
	put := "PUT /a HTTP/1.1\r\nContent-Length: 9\r\n\r\n" // 38 bytes
	type play func(s *timed, m, o *multi)
	both := func(rest play) play { // put, then what follows, over two subflows
		return func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.synCapable(), m.keys(), m.send(0, 0, put), o.synJoin(m.token), o.ackJoin()})
			rest(s, m, o)
		}
	}
	for _, tc := range []struct {
		name    string
		version byte
		play    play
		want    []stream
	}{
		{"data go over both subflows", 1, both(func(s *timed, m, o *multi) {
			s.Inject([]Segment{o.send(0, 41, "def"), m.send(38, 38, "abc"), m.send(41, 44, "ghi"), m.dataFIN(44, 47)})
		}), []stream{text(put+"abcdefghi", nil)}},
		{"version 0", 0, both(func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.send(38, 38, "abc"), o.send(0, 41, "defghi"), o.dataFIN(6, 47)})
		}), []stream{text(put+"abcdefghi", nil)}},
		{"the ACK with the keys is lost", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.synCapable(), m.send(0, 0, put), m.send(38, 38, "abcdefghi"), m.dataFIN(47, 47)})
		}, []stream{text(put+"abcdefghi", nil)}},
		{"the SYN is lost", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.keys(), m.send(0, 0, put), m.send(38, 38, "abcdefghi"), m.dataFIN(47, 47)})
		}, []stream{text(put+"abcdefghi", nil)}},
		{"the SYN is late", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.keys(), m.send(0, 0, put), m.synCapable(), m.send(38, 38, "abcdefghi"), m.dataFIN(47, 47)})
		}, []stream{text(put+"abcdefghi", nil)}},
		{"the second subflow is captured before the keys", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.synCapable(), o.synJoin(m.token), o.ackJoin(), o.send(0, 38, "abcdefghi")})
			s.pass(20 * time.Millisecond)
			s.Inject([]Segment{m.keys(), m.send(0, 0, put), m.dataFIN(38, 47)})
		}, []stream{text(put+"abcdefghi", nil)}},
		{"a segment has the data of two mappings", 1, both(func(s *timed, m, o *multi) {
			s.Inject([]Segment{o.segment(0, "", "", o.dss(0, 38, 3)), o.segment(0, "abcghi", "", o.dss(3, 44, 3)), m.send(38, 41, "def"), m.dataFIN(41, 47)})
		}), []stream{text(put+"abcdefghi", nil)}},
		{"a DATA_FIN with the last bytes", 1, both(func(s *timed, m, o *multi) {
			last := o.dss(0, 38, 10)
			last[1] |= 0x10
			s.Inject([]Segment{o.segment(0, "abcdef", "", last), o.segment(6, "ghi", "", last)})
		}), []stream{text(put+"abcdefghi", nil)}},
		{"data without a mapping are missing", 1, both(func(s *timed, m, o *multi) {
			s.Inject([]Segment{o.segment(0, "abc", ""), m.send(38, 41, "defghi"), m.dataFIN(44, 47)})
			s.pass(2 * time.Second)
		}), []stream{text(put, outcome.EndGap)}},
		{"data are sent again over the other subflow", 1, both(func(s *timed, m, o *multi) {
			s.Inject([]Segment{o.send(0, 38, "abcdefghi"), m.send(38, 38, "abcdefghi"), m.dataFIN(47, 47)})
		}), []stream{text(put+"abcdefghi", nil)}},
		{"FIN and RST of one subflow end nothing", 1, both(func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.segment(38, "", "F"), o.send(0, 38, "abc")})
			p := m.on("192.0.2.9:5")
			s.Inject([]Segment{p.synJoin(m.token), p.ackJoin(), p.segment(0, "", "R")})
			s.pass(100 * time.Millisecond)
			s.Inject([]Segment{o.send(3, 41, "defghi"), o.dataFIN(9, 47)})
		}), []stream{text(put+"abcdefghi", nil)}},
		{"RST of the only subflow, where the client has asked for another", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.synCapable(), m.keys(), m.send(0, 0, put), o.synJoin(m.token)})
			s.pass(10 * time.Millisecond)
			s.Inject([]Segment{m.segment(38, "", "R")})
			s.pass(10 * time.Millisecond)
			s.Inject([]Segment{o.ackJoin(), o.send(0, 38, "abcdefghi"), o.dataFIN(9, 47)})
		}, []stream{text(put+"abcdefghi", nil)}},
		{"RST of the only subflow, where the server has refused another", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.synCapable(), m.keys(), m.send(0, 0, put), o.synJoin(m.token)})
			s.pass(10 * time.Millisecond)
			s.Inject([]Segment{o.server(0, 0, "R")})
			s.pass(10 * time.Millisecond)
			s.Inject([]Segment{m.segment(38, "", "R")})
		}, []stream{text(put, outcome.EndClientReset)}},
		{"the ACK with the keys is lost, and a second subflow comes", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.synCapable(), m.accepts(), m.send(0, 0, put)})
			s.pass(10 * time.Millisecond)
			s.Inject([]Segment{o.synJoin(m.token), o.ackJoin(), o.send(0, 38, "abcde"), m.send(38, 43, "fghi"), m.dataFIN(42, 47)})
		}, []stream{text(put+"abcdefghi", nil)}},
		{"the client gives up behind lost bytes", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.synCapable(), m.keys(), m.send(0, 0, put)})
			s.Inject([]Segment{m.segment(47, "", "R", append([]byte{0x70, 0}, m.serverKey...))})
			s.pass(15 * time.Second)
		}, []stream{text(put, outcome.EndGap)}},
		{"a stray packet with a high ACK number", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.synCapable(), m.accepts(), m.keys(), m.send(0, 0, put)})
			s.pass(10 * time.Millisecond)
			s.Inject([]Segment{m.packet(-1_000_000_000, []byte("old"), func(t *layers.TCP) { t.Ack = 1 + 1<<29 })})
			for i := range 9 {
				s.pass(10 * time.Millisecond)
				s.Inject([]Segment{m.send(38+i, 38+i, "abcdefghi"[i:i+1])})
			}
			s.Inject([]Segment{m.dataFIN(47, 47)})
		}, []stream{text(put+"abcdefghi", nil)}},
		{"an option with the keys maps more than its segment, and nothing was seen before", 1, func(s *timed, m, o *multi) {
			keys := append(append(append([]byte{1, 1}, m.clientKey...), m.serverKey...), 0, 41)
			s.Inject([]Segment{m.segment(0, put, "", keys), m.segment(38, "abc", "", keys)})
			s.pass(100 * time.Millisecond)
			s.Inject([]Segment{m.send(41, 41, "defghi"), m.dataFIN(47, 47)})
		}, nil},
		{"RST of the last subflow", 1, both(func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.segment(38, "", "R"), o.send(0, 38, "abc"), o.segment(3, "", "R")})
		}), []stream{text(put+"abc", outcome.EndClientReset)}},
		{"MP_FASTCLOSE", 1, both(func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.segment(38, "", "R", append([]byte{0x70, 0}, m.serverKey...))})
		}), []stream{text(put, outcome.EndClientReset)}},
		{"MP_FASTCLOSE without the server's key", 1, both(func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.segment(38, "", "R", []byte("\x70\x00no key!!")), o.send(0, 38, "abcdefghi"), o.dataFIN(9, 47)})
		}), []stream{text(put+"abcdefghi", nil)}},
		{"FIN of the last subflow where the DATA_FIN is lost", 1, both(func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.segment(38, "", "F"), o.send(0, 38, "abcdefghi"), o.segment(9, "", "F")})
			s.pass(2 * time.Second)
		}), []stream{text(put+"abcdefghi", outcome.EndGap)}},
		{"fallback to TCP", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.synCapable(), m.keys(), m.send(0, 0, put), m.segment(38, "abc", "", m.dss(38, 38, 0)), m.segment(41, "defghi", "F")})
		}, []stream{text(put+"abcdefghi", nil)}},
		{"fallback to TCP before the first byte", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.synCapable(), m.keys(), m.segment(0, put, ""), m.segment(38, "abcdefghi", ""), m.segment(47, "", "F")})
		}, []stream{text(put+"abcdefghi", nil)}},
		{"the client does without MPTCP after all", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.synCapable(), m.segment(0, "", ""), m.segment(0, put+"abcdefghi", ""), m.segment(47, "", "F")})
		}, []stream{text(put+"abcdefghi", nil)}},
		{"an infinite mapping to another place than the mappings before", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.synCapable(), m.keys(), m.send(0, 0, put), m.segment(38, "abcdefghi", "F", m.dss(38, 30, 0))})
			s.pass(2 * time.Second)
		}, []stream{text(put, outcome.EndGap)}},
		{"FIN of the last subflow with data where the DATA_FIN is lost", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.synCapable(), m.keys(), m.send(0, 0, put), m.segment(38, "abc", "F", m.dss(38, 38, 3))})
			s.pass(2 * time.Second)
		}, []stream{text(put+"abc", outcome.EndGap)}},
		{"MP_FAIL on the only subflow", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.synCapable(), m.keys(), m.send(0, 0, put), m.send(38, 38, "abc"), m.fromServer("", m.fail(38))})
			s.Inject([]Segment{m.segment(41, "def", "", m.dss(38, 38, 0), m.fail(0)), m.segment(44, "ghi", "F")})
		}, []stream{text(put+"abcdefghi", nil)}},
		{"MP_FAIL and RST of one of two subflows", 1, both(func(s *timed, m, o *multi) {
			s.Inject([]Segment{o.fromServer(""), o.send(0, 38, "abc")})
			s.pass(10 * time.Millisecond)
			s.Inject([]Segment{o.fromServer("R", o.fail(38))})
			s.Inject([]Segment{m.send(38, 38, "ABC"), m.send(41, 41, "defghi"), m.dataFIN(47, 47)})
		}), []stream{text(put+"abc", outcome.EndGap)}},
		{"MP_FAIL and RST of one of two subflows before its data came", 1, both(func(s *timed, m, o *multi) {
			s.Inject([]Segment{o.fromServer(""), o.fromServer("R", o.fail(38)), m.send(38, 38, "abcdefghi"), m.dataFIN(47, 47)})
		}), []stream{text(put+"abcdefghi", nil)}},
		{"the server's MP_FASTCLOSE", 1, both(func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.fromServer(""), m.fromServer("R", append([]byte{0x70, 0}, m.clientKey...))})
		}), []stream{text(put, outcome.EndServerReset)}},
		{"the server's MP_FASTCLOSE without the client's key", 1, both(func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.fromServer(""), m.fromServer("", append([]byte{0x70, 0}, m.serverKey...)), m.send(38, 38, "abcdefghi"), m.dataFIN(47, 47)})
		}), []stream{text(put+"abcdefghi", nil)}},
		{"MP_FASTCLOSE where the keys are lost", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.synCapable(), m.send(0, 0, put), m.segment(100, "", "R", append([]byte{0x70, 0}, "any key!"...))})
			s.pass(100 * time.Millisecond) // a RST that counts has ended the stream by then
			s.Inject([]Segment{m.send(38, 38, "abcdefghi"), m.dataFIN(47, 47)})
		}, []stream{text(put+"abcdefghi", nil)}},
		{"RST of the last subflow, which the client opens anew", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.synCapable(), m.keys(), m.send(0, 0, put), m.segment(38, "", "R", []byte{0x81, 2})})
			s.pass(3 * time.Second)
			s.Inject([]Segment{o.synJoin(m.token), o.ackJoin(), o.send(0, 38, "abcdefghi"), o.dataFIN(9, 47)})
		}, []stream{text(put+"abcdefghi", nil)}},
		{"RST of the last subflow for good, with a reason", 1, func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.synCapable(), m.keys(), m.send(0, 0, put), m.segment(38, "", "R", []byte{0x80, 2})})
		}, []stream{text(put, outcome.EndClientReset)}},
		{"a plain connection follows on the ports of the first subflow", 1, both(func(s *timed, m, o *multi) {
			s.Inject([]Segment{m.send(38, 38, "abcdefghi"), m.dataFIN(47, 47), m.segment(47, "", "F"), o.segment(0, "", "F")})
			s.pass(100 * time.Millisecond)
			m.isn += 1 << 29
			s.Inject([]Segment{m.segment(-1, "", "S"), m.segment(0, "", ""), m.segment(0, get1, ""), m.segment(len(get1), "", "F")})
		}), []stream{text(put+"abcdefghi", nil), text(get1, nil)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTimed(t, nil)
			m := newMulti(t, tc.version)
			o := m.on(otherPath)
			tc.play(s, m, o)
			s.pass(time.Second)
			s.is(m.client, tc.want...)
			s.is(o.client)
		})
	}
}

// A SYN alone, with whatever token, or one packet with a mapping, takes nothing from a connection on the same ports.
func TestForgedJoin(t *testing.T) {
	s := newTimed(t, nil)
	m := newMulti(t, 1)
	s.Inject([]Segment{m.segment(-1, "", "S"), m.segment(0, "", ""), m.segment(0, "GET / HTTP", "")})
	forged := m.on(m.src.String())
	s.Inject([]Segment{m.send(10, 10, "no data of it")})
	s.Inject([]Segment{forged.synJoin(7), m.segment(10, "/1.1\r\n\r\n", ""), m.segment(18, "", "F")})
	s.is(m.client, text("GET / HTTP/1.1\r\n\r\n", nil))
	if n := s.Stats().Dropped[outcome.DropSubflow]; n != 2 {
		t.Errorf("%d packets dropped as MPTCP, want the forged SYN and data", n)
	}
}

// What waits for its connection is given up soon, and is counted.
func TestUnknownSubflow(t *testing.T) {
	s := newTimed(t, nil)
	m := newMulti(t, 1)
	s.Inject([]Segment{m.synJoin(7), m.ackJoin(), m.send(0, 0, get1), m.segment(len(get1), get1, "")})
	if st := s.Stats(); st.Held != 2 || st.BytesHeld != uint64(2*len(get1)) {
		t.Errorf("%d packets, %d bytes held, want the two with data", st.Held, st.BytesHeld)
	}
	s.pass(100 * time.Millisecond)
	s.Inject([]Segment{m.send(0, 0, get1)})
	if st := s.Stats(); st.Held != 0 || st.Dropped[outcome.DropSubflow] != 5 || st.Flows != 0 {
		t.Errorf("%d packets held, %d dropped, %d flows, want 0, all 5, 0", st.Held, st.Dropped[outcome.DropSubflow], st.Flows)
	}
	s.is(m.client)
}

// The tables of MPTCP are bounded, and a SYN that nothing proves pushes out no
// connection.
func TestManySubflows(t *testing.T) {
	s := newTimed(t, func(c *Config) { c.MaxFlows = 50 })
	m := newMulti(t, 1)
	s.Inject([]Segment{m.synCapable(), m.keys(), m.send(0, 0, "GET / HTTP")})
	for i := range uint16(1000) {
		for _, addr := range []string{"203.0.113.1", "203.0.113.2"} {
			o := m.on(netip.AddrPortFrom(netip.MustParseAddr(addr), i+1).String())
			s.Inject([]Segment{o.synCapable()})
		}
	}
	if half, known := s.subflows.half.Len(), s.subflows.known.Len(); half != 50 || known != 1 {
		t.Errorf("%d asked, %d are known; want 50, 1", half, known)
	}
	s.Inject([]Segment{m.send(10, 10, "/1.1\r\n\r\n"), m.dataFIN(18, 18)})
	s.is(m.client, text("GET / HTTP/1.1\r\n\r\n", nil))
}

// Connections without MPTCP pay one look at their options.
func TestNoMPTCPCostsNothing(t *testing.T) {
	s := newTimed(t, nil)
	c := newClient(t, 5)
	c.options = []layers.TCPOption{{OptionType: 1}, {OptionType: 1}, {OptionType: 8, OptionLength: 10, OptionData: make([]byte, 8)}}
	m := c.data(0, []byte(get1))
	var seg segment
	seg.parse(&m)
	if n := testing.AllocsPerRun(100, func() {
		if s.subflows.concerns(&seg) {
			t.Fatal("taken for MPTCP")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A packet whose parts belong to several mappings is one packet, also where one of them
// is kept beside the stream, and the connection then turns out to be there.
func TestPartsOfAPacketBesideTheStream(t *testing.T) {
	s := newTimed(t, nil)
	m := newMulti(t, 1)
	s.Inject([]Segment{m.keys(), m.segment(1, "", "F", m.dss(1, 1<<30, 0))})
	s.Inject([]Segment{m.segment(0, "abc", "")}) // a has no mapping, bc lies at the FIN
	s.pass(3 * time.Second)
	s.Shutdown()
	s.pass(time.Second)
	if st := s.Stats(); st.Held != 0 || st.BytesHeld != 0 {
		t.Errorf("%d packets, %d bytes are held, want none", int64(st.Held), st.BytesHeld)
	}
}
