package check

import (
	"bytes"
	"encoding/binary"
)

// The types of HTTP/2's frames (RFC 9113, section 6).
const (
	frameData = iota
	frameHeaders
	framePriority
	frameReset
	frameSettings
	framePushPromise
	framePing
	frameGoAway
	frameWindowUpdate
	frameContinuation
)

// Flags of frames.
const (
	flagAck        = 0x1 // of settings and pings; else the stream's end
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

const (
	frameHeader = 9       // bytes (section 4.1)
	maxFrame    = 1 << 14 // bytes, unless the peer allows more (section 4.2)
	maxData     = 1 << 20 // of data, which peers do allow more of
)

// frame is one of HTTP/2.
type frame struct {
	kind, flags byte
	stream      uint32
	length      int
	body        []byte // what is there of it
}

// cutFrame takes a frame off the start of a payload. It is not ok where there
// is none that could be HTTP/2's.
func cutFrame(b []byte) (f frame, rest []byte, ok bool) {
	if len(b) < frameHeader {
		return f, nil, false
	}
	f = frame{kind: b[3], flags: b[4], stream: binary.BigEndian.Uint32(b[5:]), length: int(b[0])<<16 | int(b[1])<<8 | int(b[2])}
	b = b[frameHeader:]
	n := min(f.length, len(b))
	f.body, rest = b[:n], b[n:]
	return f, rest, f.stream>>31 == 0 && f.plausible()
}

// plausible sees that a frame's fields fit its type.
func (f *frame) plausible() bool {
	of := f.stream != 0
	switch f.kind {
	case frameData:
		return of && f.length <= maxData && f.flags&^(flagAck|flagPadded) == 0
	case frameHeaders:
		return f.stream%2 == 1 && f.length > 0 && f.length <= maxFrame && f.flags&^(flagAck|flagEndHeaders|flagPadded|flagPriority) == 0
	case framePriority:
		return of && f.length == 5 && f.flags == 0
	case frameReset:
		return of && f.length == 4 && f.flags == 0
	case frameSettings:
		return !of && (f.flags == flagAck && f.length == 0 || f.flags == 0 && f.length%6 == 0 && f.length <= 96)
	case framePing:
		return !of && f.length == 8 && f.flags&^flagAck == 0
	case frameGoAway:
		return !of && f.length >= 8 && f.length <= maxFrame && f.flags == 0
	case frameWindowUpdate:
		return f.length == 4 && f.flags == 0 && !bytes.Equal(f.body, make([]byte, 4))
	case frameContinuation:
		return of && f.length <= maxFrame && f.flags&^flagEndHeaders == 0
	}
	return false // a push promise is a server's only, and has gone out of use
}

// isHTTP2 looks for the start of a connection (section 3.4), or for frames later
// in it. The first has to be one that hardly anything else looks like, which
// that of data is not, and only frames may be behind it.
func isHTTP2(b []byte) bool {
	if bytes.HasPrefix(b, []byte("PRI * HTTP/2.0")) {
		return true
	}
	f, rest, ok := cutFrame(b)
	switch {
	case !ok:
		return false
	case f.kind == frameHeaders && f.role() == 0, f.kind == frameSettings && f.flags != flagAck:
		return false
	case f.kind != frameHeaders && f.kind != frameSettings && f.kind != framePing && f.kind != frameWindowUpdate:
		return false
	}
	for ok && len(rest) >= frameHeader {
		_, rest, ok = cutFrame(rest)
	}
	return ok
}

// role is that of who has sent headers, as in roleOf, by the first of them, which
// has to be one that begins with a colon: a request's are the fields 1 to 7 of the
// static table, an answer's 8 to 14 (RFC 7541, section 6 and appendix A). It is 0
// where that does not tell.
func (f *frame) role() int8 {
	if f.kind != frameHeaders || f.flags&flagEndHeaders == 0 {
		return 0
	}
	at := 0
	if f.flags&flagPadded != 0 {
		at++
	}
	if f.flags&flagPriority != 0 {
		at += 5
	}
	if at >= len(f.body) {
		return 0
	}
	field := f.body[at]
	if field&0x80 == 0 {
		return 0
	}
	switch field &= 0x7f; {
	case field >= 1 && field <= 7:
		return asks
	case field >= 8 && field <= 14:
		return answers
	}
	return 0
}
