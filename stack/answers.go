package stack

import "netmirror/http1"

// answers is what the server has answered, where the mirror shows it: by that a
// client's request is told from a body that looks like one, for a client sends a
// body's rest without an answer. Interim answers (RFC 9110, section 15.2) are none.
type answers struct {
	known   bool   // everything from the server's from on was seen
	from    uint32 // in the server's sequence space, like nxt and interim
	nxt     uint32
	interim span                       // the last interim answers
	part    [http1.MaxInterimPart]byte // what tells the end of these, where a head goes on in the next segment
	partial uint8                      // bytes of part
	last    [4]answer1
	count   int
	changed mark // in the client's sequence space: the server changed to another protocol when it had received everything before
}

// answer1 is a run of the server's bytes that were sent when it had received
// everything before ack.
type answer1 struct {
	from uint32
	ack  uint32 // in the client's sequence space
}

// changes reports whether the server changed to another protocol (101 Switching Protocols) when it
// had received everything before the client's sequence number at.
func (a *answers) changes(at uint32) bool { return a.changed.known && !seqLess(a.changed.at, at) }

// changedBefore reports whether the server had changed to another protocol before the client sent
// the byte at the sequence number seq.
func (a *answers) changedBefore(seq uint32) bool {
	return a.changed.known && !seqLess(seq, a.changed.at)
}

// begin starts at a sequence number of the server's.
func (a *answers) begin(seq uint32) { *a = answers{known: true, from: seq, nxt: seq} }

// add takes a segment of the server's.
func (a *answers) add(seg *segment) {
	if len(seg.payload) == 0 {
		return
	}
	if !a.known || a.nxt != seg.seq {
		if a.known && !seqLess(a.nxt, seg.seq) {
			return // again
		}
		*a = answers{known: true, from: seg.seq, interim: a.interim, changed: a.changed} // what was not whole is lost
	}
	a.nxt = seg.end()
	if a.readsInterim(seg) {
		if a.interim.to != seg.seq {
			a.interim.from = seg.seq
		}
		a.interim.to = seg.end()
		return
	}
	if changesProtocol(seg) {
		a.changed.set(seg.ack)
	}
	if a.count > 0 && a.last[(a.count-1)%len(a.last)].ack == seg.ack {
		return
	}
	a.last[a.count%len(a.last)] = answer1{from: seg.seq, ack: seg.ack}
	a.count++
}

// changesProtocol reports whether a segment of the server's begins with an answer after which the
// connection speaks another protocol.
func changesProtocol(seg *segment) bool {
	return http1.Status(seg.payload[http1.Interim(seg.payload):]) == http1.SwitchingProtocols
}

// httpVersion is how answers begin, but for a digit.
const httpVersion = "HTTP/1."

// readsInterim reports whether a segment holds nothing but interim answers, or goes on
// with the one that was not whole: early hints (RFC 8297) can be longer than a segment.
func (a *answers) readsInterim(seg *segment) bool {
	b := seg.payload
	if a.partial > 0 && a.interim.to == seg.seq {
		b = append(a.part[:a.partial:a.partial], b...)
	} else if n := min(len(b), len(httpVersion)); n == 0 || string(b[:n]) != httpVersion[:n] { // it may be cut in there
		return false
	}
	a.partial = 0
	if http1.Interim(b) != len(b) {
		return false
	}
	a.partial = uint8(len(http1.AppendInterimPart(a.part[:0], b)))
	return true
}

// beyond is ack, or the end of the interim answers that are at it.
func (a *answers) beyond(ack uint32) uint32 {
	if a.interim.has(ack) {
		return a.interim.to
	}
	return ack
}

// between reports whether the server answered after it had received something behind
// the sequence number from, and nothing behind to, before the client sent what
// acknowledges ack. ok is false where that cannot be told, because the mirror did not
// show all of what the server sent, or it has answered too often since.
func (a *answers) between(from, to, ack uint32) (yes, ok bool) {
	if !a.known || a.count == 0 || seqLess(a.nxt, ack) || !seqLess(a.from, ack) {
		return false, false
	}
	for i := range min(a.count, len(a.last)) {
		r := &a.last[i]
		if seqLess(from, r.ack) && !seqLess(to, r.ack) && seqLess(r.from, ack) {
			return true, true
		}
	}
	return false, !a.forgot(from, ack)
}

// forgot reports whether the server has answered too often since to tell whether it answered
// something behind the sequence number from before the client sent what acknowledges ack: the
// oldest answer that is there did so itself.
func (a *answers) forgot(from, ack uint32) bool {
	shown := a.known && seqLess(a.from, ack) && !seqLess(a.nxt, ack)
	return shown && a.count > len(a.last) && seqLess(from, a.last[a.count%len(a.last)].ack)
}
