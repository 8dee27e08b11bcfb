package stack

import (
	"bytes"

	"netmirror/http1"
	"netmirror/proxyhdr"
)

// framing says where in a stream requests begin: the head of each tells where its
// body ends (RFC 9112, section 6), so that nothing in a body is taken for a request.
type framing struct {
	at     uint32 // everything before was read
	ended  uint32 // where the last whole request ended; at first where the connection begins
	known  bool   // else nothing is known
	header bool   // a PROXY protocol header may be in front
	whole  bool   // the connection was seen from its beginning
	sure   bool   // a whole request was there: the connection speaks HTTP/1
	alike  bool   // it began where bytes look like a request, and may be in the middle of one
	lead   []byte // the bytes of what may be one, then of the one that is there
	only   bool   // nothing is read but the header: requests do not matter
	framer http1.Framer
}

// begin starts at a place where a request or a connection begins.
func (g *framing) begin(at uint32, connection bool) {
	*g = framing{at: at, ended: at, known: true, header: connection, whole: connection}
}

// maxHeader bounds what is kept of a PROXY protocol header, in bytes: more than any
// that is in use, with all its extensions.
const maxHeader = 2 << 10

// read reads the stream's next bytes and calls start for each place in them at which
// a request begins.
func (g *framing) read(b []byte, start func(at uint32)) {
	if g.header {
		if b = g.leading(b); g.header {
			return
		}
		g.known = g.known && !g.only
	}
	for len(b) > 0 && g.known {
		if g.framer.AtStart() && start != nil && !g.framer.Tunneled() {
			if g.startsAt(b) {
				start(g.at)
			}
		}
		n := g.framer.Feed(b)
		g.sure = g.sure || g.framer.AtStart()
		b, g.at = b[n:], g.at+uint32(n)
		if g.framer.AtStart() {
			g.ended = g.at
		}
		g.known = !g.framer.Lost() && !g.framer.Opaque()
	}
}

// startsAt reports whether a stream may begin at b, where a request ended.
func (g *framing) startsAt(b []byte) bool {
	switch http1.Start(b) {
	case http1.Request:
		return true
	case http1.Possible:
		return g.sure && (!g.alike || http1.Unmistakable(b) != http1.Contradicts)
	}
	return false
}

// leading looks for a PROXY protocol header at the beginning of a connection. It
// returns what is behind.
func (g *framing) leading(b []byte) []byte {
	if len(g.lead) == 0 {
		if _, state := proxyhdr.Length(b); state == proxyhdr.None {
			g.header = false
			return b
		}
	}
	had := len(g.lead)
	whole := append(g.lead, b[:min(len(b), maxHeader)]...)
	n, state := proxyhdr.Length(whole)
	switch {
	case state == proxyhdr.None, n > maxHeader:
		// The framer reads what was kept as if it came only now; it is at the start.
		g.header, g.lead = false, nil
		g.framer.Feed(whole[:had])
		g.known = !g.framer.Lost() && !g.framer.Opaque()
		return b
	case state == proxyhdr.Possible, n > len(whole):
		g.lead = whole
		g.at += uint32(len(b))
		return nil
	}
	g.header, g.lead = false, bytes.Clone(whole[:n]) // whole has what is behind it as well
	g.at += uint32(n - had)
	return b[n-had:]
}

// skip passes over bytes that are missing. by is what the server has answered.
func (g *framing) skip(to uint32, by *answers) {
	if g.known && by.changes(g.ended) {
		g.framer.Switched()
	}
	if g.known {
		g.known = !g.header && g.framer.Skip(uint64(to-g.at))
		g.sure = g.sure || g.known && g.framer.AtStart()
	}
	g.at = to
}

// readOn reads bytes that go into no stream, which begin at seq, as far as they were not read
// before. It passes over what is missing in front of them; by is what the server has answered.
func (g *framing) readOn(seq uint32, b []byte, by *answers) {
	if !g.known || len(b) == 0 {
		return
	}
	if seqLess(g.at, seq) {
		g.skip(seq, by)
	}
	if g.known && seqLess(g.at, seq+uint32(len(b))) {
		g.read(b[g.at-seq:], nil)
	}
}

// opaque reports whether the connection does not speak HTTP/1.
func (g *framing) opaque() bool { return g.framer.Opaque() }

// proxied is the PROXY protocol header that the connection began with.
func (g *framing) proxied() []byte {
	if g.header {
		return nil
	}
	return g.lead
}

// apart is a copy that shares nothing that either changes.
func (g *framing) apart() framing {
	c := *g
	c.lead = c.lead[:len(c.lead):len(c.lead)]
	return c
}

// headerAgain is the PROXY protocol header for the reader of a stream that does not
// begin where its connection does: its target takes it for a new connection. It counts
// as received once more.
func (s *Stack) headerAgain(f *flow) []byte {
	header := f.framing.proxied()
	s.counters.bytes += uint64(len(header))
	s.serviceOf(f).stats.Bytes += uint64(len(header))
	s.counters.bytesInOrder += uint64(len(header))
	if s.serviceOf(f).proxied && !f.framing.whole {
		s.counters.headerUnknown++
	}
	return header
}
