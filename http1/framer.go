package http1

// maxHead limits a head, the line with a chunk's size, and a trailer section, in
// bytes each. Servers accept no more: 8 KiB (Apache, a line), 32 KiB (nginx), 1 MiB
// (Go).
const maxHead = 1 << 20

// state is the part of a message that the next byte belongs to.
type state uint8

const (
	atStart state = iota
	inLine
	inHead
	inBody
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
	isLost
	isOpaque
)

// Framer follows the requests of one direction of an HTTP/1 connection (RFC
// 9112). The zero value is at the beginning of the first message. It holds no
// pointers and never allocates.
//
// A request begins with the first byte after the previous request, which may be
// an empty line. If servers disagree about the end of a request, as with both
// Content-Length and Transfer-Encoding, the Framer is lost rather than wrong.
type Framer struct {
	state    state
	later    bool // there was an earlier request
	switched bool // the last request asked for another protocol
	tunneled bool // a request asked for a tunnel
	line     requestLine
	head     head
	chunk    chunkSize
	left     uint64 // bytes left of the body or the chunk
	size     int    // bytes so far of the head, the trailer or the line with a chunk's size
}

// Feed reads b up to the next byte that begins a request, or all of b, and
// returns how many bytes it read. If b itself begins a request, Feed reads past
// that beginning, so n is 0 only if b is empty.
func (f *Framer) Feed(b []byte) (n int) {
	if f.state == atStart && len(b) > 0 {
		f.begin()
	}
	for n < len(b) && f.state != atStart {
		n += f.step(b[n:])
	}
	return n
}

// begin starts a request.
func (f *Framer) begin() {
	f.state, f.line, f.head, f.size = inLine, requestLine{}, head{}, 0
}

// step reads some of b, which is not empty: all of it if the state stays the same.
func (f *Framer) step(b []byte) (n int) {
	switch f.state {
	case inLine:
		return f.feedLine(b)
	case inHead, inTrailer:
		return f.feedHead(b)
	case inBody, inChunk:
		return f.feedBody(b)
	case inChunkSize, inChunkEnd:
		return f.feedChunk(b)
	}
	return len(b) // lost, or opaque
}

// feedLine reads a request line. If the bytes are no request line at the beginning
// of the connection, or after an upgrade, they are another protocol.
func (f *Framer) feedLine(b []byte) (n int) {
	n, verdict := f.line.feed(b)
	f.size += n
	switch {
	case verdict == Request && f.line.is("PRI") && f.line.version.major >= 2:
		f.state = isOpaque
	case verdict == Request:
		f.state = inHead
	case verdict == Contradicts || f.size > maxHead:
		f.state = isLost
		if !f.later || f.switched || f.tunneled {
			f.state = isOpaque
		}
		return len(b)
	}
	return n
}

// feedBody reads bytes of a body or a chunk.
func (f *Framer) feedBody(b []byte) (n int) {
	n = int(min(uint64(len(b)), f.left))
	f.left -= uint64(n)
	f.bodyRead()
	return n
}

// bodyRead changes the state at the end of the body or the chunk.
func (f *Framer) bodyRead() {
	switch {
	case f.left > 0:
	case f.state == inBody:
		f.finish()
	default:
		f.state, f.chunk = inChunkEnd, chunkSize{}
	}
}

// finish ends a request.
func (f *Framer) finish() {
	f.state, f.later = atStart, true
	f.switched = f.head.upgrade
	f.tunneled = f.tunneled || f.line.is("CONNECT")
}

// AtStart reports whether the next byte begins a request.
func (f *Framer) AtStart() bool { return f.state == atStart }

// Switched says that the server has changed to another protocol, if the last request had asked
// for that (RFC 9110, section 7.8).
func (f *Framer) Switched() {
	if f.switched && f.state <= inLine {
		f.state = isOpaque
	}
}

// Tunneled reports whether a request has asked for a tunnel: what looks like requests behind it may
// be another connection's.
func (f *Framer) Tunneled() bool { return f.tunneled }

// Skip says that the next n bytes are missing, and reports whether the framing is
// still known. It is if all of them belong to a body or a chunk of known length.
// Otherwise the Framer is lost, or opaque if they may be in a tunnel.
func (f *Framer) Skip(n uint64) bool {
	switch {
	case f.state == isOpaque || f.state == isLost:
		return false
	case n == 0:
		return true
	case f.tunneled, f.state == inHead && f.line.is("CONNECT"):
		f.state = isOpaque
		return false
	case (f.state == inBody || f.state == inChunk) && n <= f.left:
		f.left -= n
		f.bodyRead()
		return true
	}
	f.state = isLost
	return false
}

// Lost reports whether the beginning of the next request is unknown: the framing
// is malformed or ambiguous, bytes are missing, or a head is longer than 1 MiB.
// A lost Framer stays lost.
func (f *Framer) Lost() bool { return f.state == isLost }

// Opaque reports whether the connection does not speak HTTP/1: it began with
// something else, begins HTTP/2, or changed to something else after a request with
// Upgrade or CONNECT. An opaque Framer stays opaque.
func (f *Framer) Opaque() bool { return f.state == isOpaque }
