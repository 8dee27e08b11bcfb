package requests

import (
	"bytes"
	"slices"
	"sync/atomic"
)

// Config says how requests are altered. The zero value does not alter them.
type Config struct {
	// Marks are header lines, without CRLF, that are added to every request in front of
	// its own. Together they have at most 4096 bytes, including a CRLF each. Lines about
	// the framing, the connection or the host are refused.
	Marks []string

	// Paths: a request is forwarded if its path begins with one of them. They are compared
	// byte for byte with what the client sent. None: any path.
	Paths []string

	// Hosts: a request is forwarded if its host is one of them. Each is a name or an
	// address without a port; with a dot in front, it is what the name ends with. Case
	// does not matter. None: any host, or no host.
	Hosts []string
}

// Rules are a checked Config, with counters. They are safe for concurrent use.
type Rules struct {
	marks   []byte // with a CRLF each; empty for none
	paths   [][]byte
	hosts   [][]byte
	filters bool // requests may be left out

	n    counters
	held atomic.Int64 // bytes of the heads that are held back
}

// New checks c. It returns nil if c does not alter requests. The error says which
// value is wrong and what to write instead.
func New(c Config) (*Rules, error) {
	if len(c.Marks)+len(c.Paths)+len(c.Hosts) == 0 {
		return nil, nil
	}
	r := &Rules{filters: len(c.Paths)+len(c.Hosts) > 0}
	var err error
	if r.marks, err = parseMarks(c.Marks); err != nil {
		return nil, err
	}
	if r.paths, err = parsePaths(c.Paths); err != nil {
		return nil, err
	}
	if r.hosts, err = parseHosts(c.Hosts); err != nil {
		return nil, err
	}
	return r, nil
}

// Equal reports whether both alter requests in the same way. nil does not alter them.
func (r *Rules) Equal(o *Rules) bool {
	if r == nil || o == nil {
		return r == o
	}
	return bytes.Equal(r.marks, o.marks) && r.filters == o.filters &&
		slices.EqualFunc(r.paths, o.paths, bytes.Equal) && slices.EqualFunc(r.hosts, o.hosts, bytes.Equal)
}

// Filters reports whether requests may be left out. nil leaves none out.
func (r *Rules) Filters() bool { return r != nil && r.filters }

// Stats are totals since New, of what targets took and of what was left out.
type Stats struct {
	Marked     uint64 // requests with lines added
	Matched    uint64 // requests that Paths and Hosts let pass
	NotMatched uint64 // requests that do not match
	TooLarge   uint64 // requests that are left out because their head is too large to be held back

	NotHTTP   uint64 // streams that do not begin with a request
	Tunnels   uint64 // streams that changed to another protocol after a request (CONNECT, Upgrade)
	Ambiguous uint64 // streams in which it is not known where the next request begins

	BytesAdded   uint64 // in lines added, and in parts of heads that the target took before the head was given back
	BytesLeftOut uint64 // of requests left out, and of what is no request

	// The bytes of BytesLeftOut that could not be judged. Some may have been wanted.
	BytesTooLarge  uint64 // of requests whose head is too large to be held back
	BytesAmbiguous uint64 // after a place from which on the beginnings of requests are unknown
}

// Unjudged is how many bytes were left out because nothing showed whether they match.
func (s *Stats) Unjudged() uint64 { return s.BytesTooLarge + s.BytesAmbiguous }

// Add adds the figures of other rules.
func (s *Stats) Add(o Stats) {
	s.Marked += o.Marked
	s.Matched += o.Matched
	s.NotMatched += o.NotMatched
	s.TooLarge += o.TooLarge
	s.NotHTTP += o.NotHTTP
	s.Tunnels += o.Tunnels
	s.Ambiguous += o.Ambiguous
	s.BytesAdded += o.BytesAdded
	s.BytesLeftOut += o.BytesLeftOut
	s.BytesTooLarge += o.BytesTooLarge
	s.BytesAmbiguous += o.BytesAmbiguous
}

// counters are Stats that change concurrently.
type counters struct {
	marked, matched, notMatched, tooLarge atomic.Uint64
	notHTTP, tunnels, ambiguous           atomic.Uint64
	bytesAdded, bytesLeftOut              atomic.Uint64
	bytesTooLarge, bytesAmbiguous         atomic.Uint64
}

// add adds the figures of one Editor, most of which are 0.
func (n *counters) add(s *Stats) {
	for _, c := range [...]struct {
		total *atomic.Uint64
		more  uint64
	}{
		{&n.marked, s.Marked}, {&n.matched, s.Matched}, {&n.notMatched, s.NotMatched}, {&n.tooLarge, s.TooLarge},
		{&n.notHTTP, s.NotHTTP}, {&n.tunnels, s.Tunnels}, {&n.ambiguous, s.Ambiguous},
		{&n.bytesAdded, s.BytesAdded}, {&n.bytesLeftOut, s.BytesLeftOut},
		{&n.bytesTooLarge, s.BytesTooLarge}, {&n.bytesAmbiguous, s.BytesAmbiguous},
	} {
		if c.more > 0 {
			c.total.Add(c.more)
		}
	}
}

// Stats returns the figures, the zero value if r is nil.
func (r *Rules) Stats() Stats {
	if r == nil {
		return Stats{}
	}
	n := &r.n
	return Stats{
		Marked:       n.marked.Load(),
		Matched:      n.matched.Load(),
		NotMatched:   n.notMatched.Load(),
		TooLarge:     n.tooLarge.Load(),
		NotHTTP:      n.notHTTP.Load(),
		Tunnels:      n.tunnels.Load(),
		Ambiguous:    n.ambiguous.Load(),
		BytesAdded:   n.bytesAdded.Load(),
		BytesLeftOut: n.bytesLeftOut.Load(),

		BytesTooLarge:  n.bytesTooLarge.Load(),
		BytesAmbiguous: n.bytesAmbiguous.Load(),
	}
}
