package http1

const (
	// maxMethod is the longest method that is accepted, in bytes. The longest
	// registered one has 17 (IANA http-methods); made-up ones may be longer.
	maxMethod = 256
	// keptMethod is how many bytes of a method a line remembers, enough to
	// recognize CONNECT and PRI.
	keptMethod = 8
	// maxDigits is how many digits each part of a version may have.
	maxDigits = 3
	// http11 is the usual version.
	http11 = "HTTP/1.1"
)

// The parts of a request line.
const (
	inBlank  uint8 = iota // empty lines in front, which servers skip (RFC 9112, section 2.2)
	inMethod              //
	inWords               // target and version
	inEnd                 // after a CR: only LF may follow
)

// requestLine reads a request line in pieces (RFC 9112, section 3). It accepts what
// servers accept, not only what the grammar allows. The zero value is in front of
// the first byte.
//
// The method is any token, and the target has no control characters. Several spaces
// and tabs may separate the words (nginx, Node; Apache with HttpProtocolOptions
// Unsafe). The target may contain spaces (nginx before 1.21.1), and spaces may
// follow the version (nginx). The version is the last word: letters, a slash, a
// number, a dot and a number, so RTSP/1.0, ICAP/1.0 and SIP/2.0 count. A line may end
// with LF alone. A line without a version, as in HTTP/0.9, is not accepted: it looks
// like the lines of too many other protocols.
type requestLine struct {
	part    uint8
	words   uint8  // words after the method; 2 stands for more too
	inWord  bool   // the last byte belongs to a word
	length  uint16 // of the method, in bytes
	version version
	method  [keptMethod]byte // its beginning
}

// feed reads b up to the end of the line, and returns how many bytes it read.
// verdict is Possible until the line has ended or cannot be a request line.
func (l *requestLine) feed(b []byte) (n int, verdict Likeness) {
	if l.part == inBlank {
		for n < len(b) && (b[n] == '\r' || b[n] == '\n') {
			n++
		}
		if n == len(b) {
			return n, Possible
		}
		l.part = inMethod
	}
	if l.part == inMethod {
		from := n
		for n < len(b) && n-from <= maxMethod && tchar[b[n]] {
			n++
		}
		if l.length < keptMethod {
			copy(l.method[l.length:], b[from:n])
		}
		l.length += uint16(n - from)
		switch {
		case l.length > maxMethod:
			return n, Contradicts
		case n == len(b):
			return n, Possible
		case l.length == 0 || !blank(b[n]):
			return n, Contradicts
		}
		l.part = inWords
	}
	words, verdict := l.feedWords(b[n:])
	return n + words, verdict
}

// feedWords reads what follows the method.
func (l *requestLine) feedWords(b []byte) (n int, verdict Likeness) {
	for n < len(b) {
		c := b[n]
		switch {
		case c == '\n':
			if l.part == inEnd || l.complete() {
				return n + 1, Request
			}
			return n, Contradicts
		case l.part == inEnd, c == 0x7f:
			return n, Contradicts
		case c > ' ':
			n += l.feedWord(b[n:])
			continue
		case blank(c):
			l.inWord = false
		case c == '\r' && l.complete():
			l.part = inEnd
		default:
			return n, Contradicts
		}
		n++
	}
	return n, Possible
}

// feedWord reads the bytes of one word, of which b has at least one.
func (l *requestLine) feedWord(b []byte) (n int) {
	if !l.inWord {
		l.inWord, l.words, l.version = true, min(l.words+1, 2), version{}
		if len(b) > len(http11) && string(b[:len(http11)]) == http11 {
			l.version, n = version{state: inMinor, length: 1, major: 1, minor: 1}, len(http11)
		}
	}
	for n < len(b) && l.version.state != notVersion && inside(b[n]) {
		l.version.step(b[n])
		n++
	}
	for n < len(b) && inside(b[n]) {
		n++
	}
	return n
}

// inside reports whether c can be part of a word: it is neither a space nor a
// control character.
func inside(c byte) bool { return c > ' ' && c != 0x7f }

// complete reports whether the line could end here.
func (l *requestLine) complete() bool { return l.words == 2 && l.version.state == inMinor }

// is reports whether the method is m, which must be shorter than keptMethod.
func (l *requestLine) is(m string) bool { return string(l.method[:min(l.length, keptMethod)]) == m }

// The parts of a version.
const (
	inName uint8 = iota
	inMajor
	beforeMinor
	inMinor
	notVersion
)

// version recognizes "HTTP/1.1" and the like, byte by byte.
type version struct {
	state        uint8
	length       uint8 // of the part, in bytes
	major, minor uint16
}

func (v *version) step(c byte) {
	digit := c >= '0' && c <= '9'
	switch {
	case v.state == inName && (c|0x20 >= 'a' && c|0x20 <= 'z') && v.length < 16:
		v.length++
	case v.state == inName && c == '/' && v.length > 0:
		v.state, v.length = inMajor, 0
	case v.state == inMajor && digit && v.length < maxDigits:
		v.major = v.major*10 + uint16(c-'0')
		v.length++
	case v.state == inMajor && c == '.' && v.length > 0:
		v.state, v.length = beforeMinor, 0
	case (v.state == beforeMinor || v.state == inMinor) && digit && v.length < maxDigits:
		v.state = inMinor
		v.minor = v.minor*10 + uint16(c-'0')
		v.length++
	default:
		v.state = notVersion
	}
}

// blank reports whether c can separate words.
func blank(c byte) bool { return c == ' ' || c == '\t' }

// tchar are the bytes that a token may consist of (RFC 9110, section 5.6.2).
var tchar = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()
