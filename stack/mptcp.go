package stack

import (
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"netmirror/service"
)

// multipath is an MPTCP connection (RFC 8684): one stream of data over several TCP
// connections, its subflows. Its flow has the key of the first subflow and the data
// sequence numbers.
type multipath struct {
	key          flowKey
	clientKey    uint64 // valid with hasClientKey
	serverKey    uint64 // valid with hasKey
	token        uint32 // of the server's, by which further subflows name the connection
	hasKey       bool
	hasClientKey bool
	base         uint32    // data sequence number of the client's first byte
	sent         mark      // what the client has sent, in data sequence space
	answered     mark      // what the server has sent
	clientAt     mark      // newest Data ACK of the client
	serverAt     mark      // newest Data ACK of the server
	finSeen      bool      // the client's DATA_FIN
	joined       bool      // it has had a second subflow
	asked        time.Time // when the client last asked for another one, which has not begun
	entries      int       // subflows in the table
	alive        int       // of them, those that have not ended
	scale        uint8     // of the server's windows on the first subflow
}

// token names an MPTCP connection of a service to further subflows.
type token struct {
	of    service.ID
	token uint32
}

func (c *multipath) name() token { return token{c.key.service, c.token} }

// farthest is how far ahead one packet alone moves what is known to be sent: more than the
// windows of all subflows together usually are.
const farthest = 16 << 20

// subflowKind says what is known of a TCP connection that speaks MPTCP.
type subflowKind uint8

const (
	candidate subflowKind = iota // it asked for MPTCP
	joining                      // it asked to be a further subflow
	belongs                      // it is a subflow of a known connection
	orphan                       // a subflow of a connection that is not known
	plainTCP                     // a new connection on the ports of a subflow
)

// subflow is one TCP connection that is, or may be, part of an MPTCP connection.
type subflow struct {
	kind           subflowKind
	of             *multipath // of belongs
	token          uint32     // of joining: the connection's
	isn            uint32     // the client's initial sequence number
	serverISN      uint32     // valid with hasServerISN
	hasServerISN   bool
	serverKey      uint64 // valid with hasKey
	hasKey         bool
	version        uint8    // in which the SYN-ACK told the key
	ended          bool     // FIN or RST
	doubted        bool     // by a RST that may be none of its
	ev             evidence // in the subflow's own sequence space
	next           mark     // what the client has sent on it
	client, server mappings
	began, seen    time.Time
}

// subflows knows the TCP connections that speak MPTCP. A SYN that nothing has proven
// pushes out only its like.
type subflows struct {
	half, known *simplelru.LRU[flowKey, *subflow]
	tokens      map[token]*multipath
	waiting     []waiting
	waitingSize int
}

func newSubflows(limit int) (subflows, error) {
	t := subflows{tokens: make(map[token]*multipath)}
	half, err := simplelru.NewLRU[flowKey, *subflow](limit, nil)
	if err != nil {
		return t, err
	}
	t.half = half
	t.known, err = simplelru.NewLRU(2*limit, func(_ flowKey, f *subflow) { t.forget(f) })
	return t, err
}

// forget is called for a subflow that leaves the table.
func (t *subflows) forget(f *subflow) {
	c := f.of
	if c == nil {
		return
	}
	f.end()
	if c.entries--; c.entries == 0 && c.hasKey && t.tokens[c.name()] == c {
		delete(t.tokens, c.name())
	}
}

// forgetService forgets all subflows of a service.
func (t *subflows) forgetService(of service.ID) {
	for _, table := range []*simplelru.LRU[flowKey, *subflow]{t.half, t.known} {
		for _, key := range table.Keys() {
			if key.service == of {
				table.Remove(key)
			}
		}
	}
}

// end notes that the subflow carries nothing any more.
func (f *subflow) end() {
	if f.of != nil && !f.ended {
		f.of.alive--
	}
	f.ended = true
}

// goesOn notes new data of the client: where a RST may have been none of the subflow's, it was
// none.
func (f *subflow) goesOn() {
	if f.doubted && f.ended && f.of != nil {
		f.of.alive++
		f.ended = false
	}
	f.doubted = false
}

// concerns reports whether a segment has to do with MPTCP. It is called for every
// segment.
func (t *subflows) concerns(seg *segment) bool {
	return hasMPTCP(seg.options) || t.half.Len()+t.known.Len() > 0 && t.has(&seg.key)
}

func (t *subflows) has(key *flowKey) bool {
	return t.half.Len() > 0 && t.half.Contains(*key) || t.known.Contains(*key)
}

// subflow returns what is known of a TCP connection, nil for nothing, and the one that
// its last SYN would begin.
func (s *Stack) subflow(key *flowKey) (known, next *subflow) {
	t := &s.subflows
	known, _ = t.known.Get(*key)
	if known != nil && s.now.Sub(known.seen) > s.cfg.IdleTimeout {
		t.known.Remove(*key)
		known = nil
	}
	next, _ = t.half.Peek(*key)
	if next != nil && s.now.Sub(next.began) > halfOpenTimeout {
		t.half.Remove(*key)
		next = nil
	}
	return known, next
}

// newSubflow remembers a connection that its SYN, or the answer to it, begins.
func (s *Stack) newSubflow(key *flowKey, kind subflowKind, isn uint32) *subflow {
	f := &subflow{kind: kind, isn: isn, began: s.now, seen: s.now}
	f.next.set(isn + 1)
	s.subflows.half.Remove(*key)
	s.subflows.half.Add(*key, f)
	return f
}

// proven moves a subflow from those that only a SYN tells of to the others.
func (s *Stack) proven(key *flowKey, f *subflow) {
	t := &s.subflows
	t.half.Remove(*key)
	t.known.Remove(*key)
	for {
		_, oldest, ok := t.known.GetOldest()
		if !ok || s.now.Sub(oldest.seen) <= s.cfg.IdleTimeout {
			break
		}
		t.known.RemoveOldest()
	}
	f.seen = s.now
	t.known.Add(*key, f)
}

// belong makes f a subflow of c.
func (s *Stack) belong(key *flowKey, f *subflow, c *multipath) {
	s.proven(key, f)
	f.kind, f.of = belongs, c
	c.entries++
	c.alive++
	c.asked = time.Time{}
	if c.entries > 1 || c.key != *key {
		c.joined = true
		s.counters.subflows++
	}
}

// called notes the token by which further subflows name the connection.
func (s *Stack) called(c *multipath) {
	if c.hasKey {
		s.subflows.tokens[c.name()] = c
		s.tryAgain(c.name())
	}
}
