package http1

// The parts of the line in front of a chunk, and of the CRLF after it.
const (
	inDigits uint8 = iota
	inPadding
	inExtension
	atLF
)

// chunkSize reads the line in front of a chunk (RFC 9112, section 7.1), byte by
// byte.
type chunkSize struct {
	part   uint8
	digits uint8
	size   uint64
}

// step takes one byte. ended is true at the LF. ok is false if servers may
// understand the line in different ways, above all if it ends with LF alone.
func (s *chunkSize) step(c byte) (ended, ok bool) {
	switch {
	case s.part == atLF:
		return true, c == '\n' && s.size < 1<<63
	case c == '\r' && s.digits > 0:
		s.part = atLF
	case c == '\n' || c == '\r':
		return false, false
	case s.part == inExtension:
	case c == ';' && s.digits > 0:
		s.part = inExtension
	case blank(c) && s.digits > 0:
		s.part = inPadding
	case s.part == inDigits && hex(c) < 16 && s.digits < 16:
		s.size = s.size<<4 | uint64(hex(c))
		s.digits++
	default:
		return false, false
	}
	return false, true
}

// hex is the value of a hexadecimal digit, or 16 for another byte.
func hex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 16
}

// feedChunk reads the line in front of a chunk, or the CRLF after it.
func (f *Framer) feedChunk(b []byte) (n int) {
	for i, c := range b {
		ended, ok := f.chunkByte(c)
		if f.size++; !ok || f.size > maxHead {
			f.state = isLost
			return len(b)
		}
		if ended {
			f.size = 0
			return i + 1
		}
	}
	return len(b)
}

// chunkByte takes one byte of what feedChunk reads, and changes the state at its end.
func (f *Framer) chunkByte(c byte) (ended, ok bool) {
	if f.state == inChunkEnd {
		if f.chunk.part != atLF {
			f.chunk.part = atLF
			return false, c == '\r'
		}
		f.state, f.chunk = inChunkSize, chunkSize{}
		return true, c == '\n'
	}
	ended, ok = f.chunk.step(c)
	if ended && ok {
		f.state, f.left = inChunk, f.chunk.size
		if f.left == 0 {
			f.state = inTrailer
		}
	}
	return ended, ok
}
