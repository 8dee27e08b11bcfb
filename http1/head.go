package http1

import "bytes"

// keptLine is how many bytes of a line are kept if it continues in the next
// call. The Framer is lost if a line about the body is longer.
const keptLine = 64

// field is the name of a header field, as far as it matters here.
type field uint8

const (
	otherField field = iota
	contentLength
	transferEncoding
	upgrade
)

// head collects what the header section says about the body (RFC 9112, section 6.3).
type head struct {
	fields  bool // there was a header line
	framing bool // the last line is about the body

	hasLength bool
	length    uint64 // the Content-Length, in bytes
	encoded   bool   // there is a Transfer-Encoding
	chunked   bool   // the last coding is "chunked"
	upgrade   bool

	part linePart
}

// linePart is the beginning of a line that continues in the next call.
type linePart struct {
	length int  // bytes so far
	cr     bool // the last byte is a CR
	kept   [keptLine]byte
}

// add appends b. ok is false if there is a CR within the line: some servers end
// a line there.
func (p *linePart) add(b []byte) (ok bool) {
	if len(b) == 0 {
		return true
	}
	if p.cr || bytes.IndexByte(b[:len(b)-1], '\r') >= 0 {
		return false
	}
	if p.length < keptLine {
		copy(p.kept[p.length:], b)
	}
	p.length += len(b)
	p.cr = b[len(b)-1] == '\r'
	return true
}

// end returns the line without a CR at its end, at most keptLine bytes of it, and
// whether it is longer. line is valid until the next call of add.
func (p *linePart) end() (line []byte, long bool) {
	n := p.length
	if p.cr {
		n--
	}
	p.length, p.cr = 0, false
	return p.kept[:min(n, keptLine)], n > keptLine
}

// feedHead reads lines of a header section, or of a trailer section.
func (f *Framer) feedHead(b []byte) (n int) {
	for n < len(b) {
		rest := b[n:]
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			f.size += len(rest)
			if !f.head.part.add(rest) || f.size > maxHead {
				f.state = isLost
			}
			return len(b)
		}
		n += i + 1
		f.size += i + 1
		line, long, ok := f.head.line(rest[:i])
		switch {
		case !ok || f.size > maxHead:
			f.state = isLost
			return len(b)
		case len(line) == 0:
			f.headRead()
			return n
		case f.state == inHead && !f.head.take(line, long):
			f.state = isLost
			return len(b)
		}
	}
	return n
}

// line returns the line that ends with b, without CRLF, and whether it is longer
// than keptLine. ok is false if there is a CR within the line.
func (h *head) line(b []byte) (line []byte, long, ok bool) {
	if h.part.length > 0 {
		ok = h.part.add(b)
		line, long = h.part.end()
		return line, long, ok
	}
	if len(b) > 0 && b[len(b)-1] == '\r' {
		b = b[:len(b)-1]
	}
	return b, len(b) > keptLine, bytes.IndexByte(b, '\r') < 0
}

// take reads a header line, which is not empty. ok is false if servers may
// understand the framing in different ways.
func (h *head) take(line []byte, long bool) (ok bool) {
	if blank(line[0]) {
		// A folded line (RFC 9112, section 5.2): some servers join it to the
		// one before, others do not.
		return h.fields && !h.framing
	}
	h.fields = true
	name, value := framingField(line)
	h.framing = name == contentLength || name == transferEncoding
	switch {
	case name == upgrade:
		h.upgrade = true
	case h.framing && (long || value == nil):
		return false
	case name == contentLength:
		return h.takeLength(value)
	case name == transferEncoding:
		return h.takeEncoding(value)
	}
	return true
}

// framingField returns the name of a field that matters and its value, which is
// nil if something stands between name and colon.
func framingField(line []byte) (name field, value []byte) {
	var want string
	switch line[0] | 0x20 {
	case 'c':
		name, want = contentLength, "content-length"
	case 't':
		name, want = transferEncoding, "transfer-encoding"
	case 'u':
		name, want = upgrade, "upgrade"
	default:
		return otherField, nil
	}
	if len(line) <= len(want) || tchar[line[len(want)]] {
		return otherField, nil
	}
	for i := range len(want) {
		c := line[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != want[i] {
			return otherField, nil
		}
	}
	if line[len(want)] != ':' {
		return name, nil
	}
	return name, line[len(want)+1:]
}

// takeLength reads a Content-Length, which may be a list of the same value
// (RFC 9110, section 8.6).
func (h *head) takeLength(value []byte) (ok bool) {
	for more := true; more; {
		var item []byte
		item, value, more = bytes.Cut(value, []byte(","))
		n, ok := decimal(bytes.Trim(item, " \t"))
		if !ok || h.hasLength && n != h.length {
			return false
		}
		h.hasLength, h.length = true, n
	}
	return true
}

// decimal reads a number below 2^63.
func decimal(b []byte) (n uint64, ok bool) {
	const limit = 1<<63 - 1
	for _, c := range b {
		if c < '0' || c > '9' || n > limit/10 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, len(b) > 0 && n <= limit
}

// takeEncoding reads a Transfer-Encoding. Nothing may follow "chunked".
func (h *head) takeEncoding(value []byte) (ok bool) {
	h.encoded = true
	for more := true; more; {
		var coding []byte
		coding, value, more = bytes.Cut(value, []byte(","))
		coding = bytes.Trim(coding, " \t")
		if h.chunked || len(coding) == 0 {
			return false
		}
		h.chunked = bytes.EqualFold(coding, []byte("chunked"))
	}
	return true
}

// headRead changes the state after the empty line that ends a header section or a
// trailer section.
func (f *Framer) headRead() {
	v := &f.line.version
	switch h := &f.head; {
	case f.state == inTrailer:
		f.finish()
	case h.encoded && (h.hasLength || !h.chunked || v.major < 1 || v.major == 1 && v.minor < 1):
		f.state = isLost // RFC 9112, sections 6.1 and 6.3
	case h.encoded:
		f.state, f.chunk, f.size = inChunkSize, chunkSize{}, 0
	case h.length > 0:
		f.state, f.left = inBody, h.length
	default:
		f.finish()
	}
}
