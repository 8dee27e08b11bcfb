package requests

import "netmirror/http1"

const (
	// maxHead is the largest head that is held back to be judged, in bytes.
	maxHead = 64 << 10
	// maxHeld limits the bytes that all streams of the same Rules hold back. Each goroutine
	// may exceed it by one head.
	maxHeld = 16 << 20
	// maxOutput is the length of output, in bytes, at which Edit stops. Long lines added
	// to short requests would make the output large.
	maxOutput = 64 << 10
)

// MaxOutput is the most that Edit returns for 64 KiB of input, in bytes.
const MaxOutput = maxOutput + 64<<10 + maxMarks

// Editor alters one stream. It is not safe for concurrent use.
type Editor struct {
	rules *Rules
	state        // after the bytes that the target took
	next  state  // after the bytes that the last Edit read
	read  int    // how many bytes the last Edit read
	wrote int    // how many bytes it returned
	held  []byte // input that was read and is not judged yet
}

// state is the place of an Editor in the stream. Assigning an older copy goes back.
type state struct {
	framer http1.Framer
	phase  phase
	left   int  // bytes of the PROXY protocol header that are still to come
	due    bool // the added lines go in front of the next byte
	judged bool // it is known whether this request is forwarded
	wanted bool // the request that was judged last is forwarded
	large  bool // the head of what is left out was too large to be judged
	later  bool // there was an earlier request

	holds int   // bytes of input that are not judged yet
	tail  int   // how many of them are at the end of the last input
	ahead int   // bytes of the next output that the target has taken already
	done  Stats // counted since the last Taken
}

// Editor returns an Editor for a new stream, nil if r is nil. The caller must call its
// Close.
func (r *Rules) Editor() *Editor {
	if r == nil {
		return nil
	}
	return &Editor{rules: r}
}

// Edit reads in, the next bytes of the stream, and returns what goes to the target in
// their place: a part of in if nothing is altered, else dst[:0] with the bytes appended.
// in is not empty; dst may be nil. Edit may hold back bytes at the end of in and, if the
// output is long, may not read all of it. Until Taken is called, another Edit begins at the
// same place.
func (e *Editor) Edit(dst, in []byte) (out []byte) {
	e.next, e.read = e.state, 0
	s := &e.next
	s.tail = 0
	from, to, copied := 0, 0, false // until something is copied, the output is in[from:to]
	out = dst[:0]
	for e.read < len(in) && len(out) < maxOutput {
		at := e.read
		n, p := e.step(s, in[at:])
		e.read += n
		switch {
		case p.length() == 0:
		case copied:
			out = p.appendTo(out)
		case p.verbatim && (from == to || at == to):
			if from == to {
				from = at
			}
			to = e.read
		default:
			copied = true
			out = p.appendTo(append(out, in[from:to]...))
		}
	}
	if !copied {
		out = in[from:to]
	}
	skip := min(s.ahead, len(out))
	s.ahead -= skip
	e.wrote = len(out) - skip
	return out[skip:]
}

// Taken says that the target took the first n bytes of the last Edit's output. in is
// that Edit's input. used is how many bytes of it are finished: all that Edit read, if the
// target took everything. The caller gives the rest of in to Edit again.
func (e *Editor) Taken(in []byte, n int) (used int) {
	if used = e.read; n < e.wrote {
		used = e.rewind(in, n)
	}
	e.hold(in[:used])
	e.rules.n.add(&e.next.done)
	e.state = e.next
	e.done = Stats{}
	return used
}

// rewind sets next to the state after the first n bytes of output.
func (e *Editor) rewind(in []byte, n int) (used int) {
	n += e.ahead
	e.next = e.state
	s := &e.next
	s.tail = 0
	for {
		before := *s
		size, p := e.step(s, in[used:])
		if given := p.length(); given <= n {
			used += size
			n -= given
			continue
		}
		*s = before
		if !p.exact {
			s.ahead = n
			return used
		}
		s.ahead = 0
		for end := used + n; used < end; {
			size, _ := e.step(s, in[used:end])
			used += size
		}
		return used
	}
}

// hold keeps the bytes that are held back. in ends with the last of them.
func (e *Editor) hold(in []byte) {
	s := &e.next
	before := len(e.held)
	if s.holds == 0 {
		e.held = nil
	} else {
		e.held = append(e.held[:s.holds-s.tail], in[len(in)-s.tail:]...)
	}
	if len(e.held) != before {
		e.rules.held.Add(int64(len(e.held) - before))
	}
}

// Close ends the stream. Bytes that are held back are left out. e may be nil.
func (e *Editor) Close() {
	if e == nil {
		return
	}
	// The target took a part of a head or of the added lines, and not the rest.
	e.rules.n.bytesAdded.Add(uint64(e.ahead))
	if e.rules.filters {
		e.rules.n.bytesLeftOut.Add(uint64(len(e.held)))
	}
	e.rules.held.Add(-int64(len(e.held)))
	e.held, e.state = nil, state{phase: ignoring}
}

// pending returns the bytes that are held back, followed by b. It is valid until the
// next call.
func (e *Editor) pending(s *state, b []byte) []byte {
	if s.holds == 0 {
		return b
	}
	kept := len(e.held)
	all := append(e.held, b...)
	e.held = all[:kept]
	return all
}

// piece is what goes to the target for some input: head with marks, the added lines,
// inserted after its first at bytes, and then body.
type piece struct {
	head, marks, body []byte
	at                int
	verbatim          bool // it equals that input
	exact             bool // it may be taken in parts: each byte of output is one byte of input
}

func (p *piece) length() int { return len(p.head) + len(p.marks) + len(p.body) }

func (p *piece) appendTo(b []byte) []byte {
	b = append(b, p.head[:p.at]...)
	b = append(b, p.marks...)
	b = append(b, p.head[p.at:]...)
	return append(b, p.body...)
}
