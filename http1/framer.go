package http1

// maxHead is how long a head, a line of a chunk's size and a trailer section may
// be, in bytes. Servers take less: 8 KiB (Apache, a line), 32 KiB (nginx), 1 MiB
// (Go).
const maxHead = 1 << 20

// state is where in a message a Framer is.
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
// A request begins with the first byte behind the one before, which may be that
// of an empty line. Where servers disagree about the end of a request, as they do about
// one with both Content-Length and Transfer-Encoding, the Framer is lost
// rather than wrong.
type Framer struct {
	state    state
	later    bool // a request was there before
	switched bool // that one asks for another protocol, or for a tunnel
	line     requestLine
	head     head
	chunk    chunkSize
	left     uint64 // bytes of the body, or of the chunk
	size     int    // bytes of the head, of the trailer or of the size of a chunk so far
}

// Feed reads b and returns how many bytes it read: up to the next byte that
// begins a request, or all of b. At the beginning of a request it goes on past
// it; so n is 0 only where b is empty.
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

// step reads some of b, which is not empty: all of it where the state stays the same.
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

// feedLine reads a request line. One that is none means another protocol where
// the connection begins, or where one was asked for.
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
		if !f.later || f.switched {
			f.state = isOpaque
		}
		return len(b)
	}
	return n
}

// feedBody reads of a body, or of a chunk, whose length is known.
func (f *Framer) feedBody(b []byte) (n int) {
	n = int(min(uint64(len(b)), f.left))
	f.left -= uint64(n)
	f.bodyRead()
	return n
}

// bodyRead goes on where the body, or the chunk, is at its end.
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
	f.switched = f.head.upgrade || f.line.is("CONNECT")
}

// AtStart reports whether the next byte begins a request.
func (f *Framer) AtStart() bool { return f.state == atStart }

// Skip tells of n bytes that are missing. It reports whether the framing is
// still known, which it is in a body, or a chunk, of known length that goes on
// behind the hole or ends with it. Else the Framer is lost.
func (f *Framer) Skip(n uint64) bool {
	switch {
	case f.state == isOpaque || f.state == isLost:
		return false
	case n == 0:
		return true
	case (f.state == inBody || f.state == inChunk) && n <= f.left:
		f.left -= n
		f.bodyRead()
		return true
	}
	f.state = isLost
	return false
}

// Remaining is how many bytes are left until the next request begins. It is ok
// at the beginning of one, where it is 0, and in a body with a Content-Length.
func (f *Framer) Remaining() (n uint64, ok bool) {
	switch f.state {
	case atStart:
		return 0, true
	case inBody:
		return f.left, true
	}
	return 0, false
}

// Lost reports that it is not known where the next request begins: the framing
// is malformed or ambiguous, bytes are missing, or a head is longer than 1 MiB.
// It stays so.
func (f *Framer) Lost() bool { return f.state == isLost }

// Opaque reports that the connection does not speak HTTP/1: it begins with
// something else, or goes on with something else where a request asked for that
// by Upgrade or CONNECT, or begins HTTP/2. It stays so.
func (f *Framer) Opaque() bool { return f.state == isOpaque }
