package requests

import (
	"bytes"
	"slices"
	"sync/atomic"
)

// Config says what becomes of requests. The zero value leaves them alone.
type Config struct {
	// Marks are header lines, without their ends, that every request gets in front of
	// its others: 4096 bytes of them at the most, ends included. Lines about the
	// framing, the connection or the host are refused.
	Marks []string

	// Paths are what the path of a request has to begin with, one of them at least: it
	// is compared byte for byte as the client has sent it. None: any path.
	Paths []string

	// Hosts are what the host of a request has to be, one of them at least: a name or an
	// address without a port or, with a dot in front, what it ends with. Case does not
	// matter. None: any host, or no host.
	Hosts []string
}

// Rules are a checked Config and count what they have done. They are safe for
// concurrent use.
type Rules struct {
	marks   []byte // with their ends; empty for none
	paths   [][]byte
	hosts   [][]byte
	filters bool // requests may be left out

	n    counters
	held atomic.Int64 // bytes of the heads that are held back
}

// New checks c. It returns nil where c leaves requests alone. The error says which
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
	r.hosts, err = parseHosts(c.Hosts)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Equal reports whether both do the same to requests. nil leaves them alone.
func (r *Rules) Equal(o *Rules) bool {
	if r == nil || o == nil {
		return r == o
	}
	return bytes.Equal(r.marks, o.marks) && r.filters == o.filters &&
		slices.EqualFunc(r.paths, o.paths, bytes.Equal) && slices.EqualFunc(r.hosts, o.hosts, bytes.Equal)
}

// Filters reports whether requests may be left out. nil leaves none out.
func (r *Rules) Filters() bool { return r != nil && r.filters }

// Unjudged is how many bytes were left out because they could not be judged.
func (s *Stats) Unjudged() uint64 { return s.BytesTooLarge + s.BytesAmbiguous }

// Stats are totals since New, of what targets took and of what was left out.
type Stats struct {
	Marked     uint64 // requests with lines added
	Matched    uint64 // requests that Paths and Hosts let pass
	NotMatched uint64 // requests that they do not
	TooLarge   uint64 // requests that are left out because their head is too large to be held back

	NotHTTP   uint64 // streams that do not begin with a request
	Tunnels   uint64 // streams that became something else behind a request (CONNECT, Upgrade)
	Ambiguous uint64 // streams in which it is not known where the next request begins

	BytesAdded   uint64 // in lines added, and what was taken of a head that was given back whole
	BytesLeftOut uint64 // of requests that are left out, and of what is no request

	// Of BytesLeftOut, those that could not be judged. Some may have been wanted.
	BytesTooLarge  uint64 // of requests whose head is too large to be held back
	BytesAmbiguous uint64 // behind a place from which on it is not known where requests begin
}

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

// counters is Stats while it changes.
type counters struct {
	marked, matched, notMatched, tooLarge atomic.Uint64
	notHTTP, tunnels, ambiguous           atomic.Uint64
	bytesAdded, bytesLeftOut              atomic.Uint64
	bytesTooLarge, bytesAmbiguous         atomic.Uint64
}

// add counts what one editor has done. Most of it is nothing.
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

// Stats is the zero value where r is nil.
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
