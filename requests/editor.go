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

// MaxOutput is how many bytes Edit gives at the most for 64 KiB of input.
const MaxOutput = maxOutput + 64<<10 + maxMarks + maxLead

// Editor alters one stream. It is not safe for concurrent use.
type Editor struct {
	rules *Rules
	state        // behind what the target took
	next  state  // behind what the last Edit read
	read  int    // how many bytes that were
	wrote int    // and how many it gave
	held  []byte // input that is read and not judged yet
	lead  []byte // the stream's PROXY protocol header, while it is held back
	told  int    // how many bytes of held and lead are in the Rules' count

	proxied bool // the stream begins with such a header
	keeps   bool // which is held back until a request is forwarded
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

	leads int   // bytes of the PROXY protocol header that are held back
	holds int   // input that is not judged yet, in bytes
	tail  int   // of that, what the last input ends with
	ahead int   // output to come that the target has taken already, in bytes
	done  Stats // since the last Taken
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
	e.account()
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

// Proxied reports whether the stream begins with a PROXY protocol header, as far as it
// was read.
func (e *Editor) Proxied() bool { return e.proxied }

// Close ends the stream. Bytes that are held back are left out. e may be nil.
func (e *Editor) Close() {
	if e == nil {
		return
	}
	// The target took a part of a head or of the added lines, and not the rest.
	e.rules.n.bytesAdded.Add(uint64(e.ahead))
	if e.rules.filters {
		e.rules.n.bytesLeftOut.Add(uint64(len(e.held) + e.leads))
	}
	e.held, e.lead, e.state = nil, nil, state{phase: ignoring}
	e.account()
}

// piece is what goes to the target for some input: lead and head, with the lines to add
// behind the first at bytes of head, and then body.
type piece struct {
	lead, head, marks, body []byte
	at                      int
	verbatim                bool // it is that input, byte for byte
	exact                   bool // also in parts: each byte of the input is known for one of the output
}

func (p *piece) length() int { return len(p.lead) + len(p.head) + len(p.marks) + len(p.body) }

func (p *piece) appendTo(b []byte) []byte {
	b = append(b, p.lead...)
	b = append(b, p.head[:p.at]...)
	b = append(b, p.marks...)
	b = append(b, p.head[p.at:]...)
	return append(b, p.body...)
}
