package main

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	mostParts = 1024                  // pieces of one write (UIO_MAXIOV)
	farewell  = 20 * time.Millisecond // from the client's end to the first look for the target's
	discard   = 32                    // writes after which a flow's answers are thrown away
)

// flow is a client's connection and the one to the target.
type flow struct {
	fd     int
	next   uint32       // sequence number behind what was taken last
	parts  []unix.Iovec // payload in the block being read
	left   []byte       // what the target's socket did not take yet
	queued bool         // it is in forwarder.queue
	ended  bool         // the client has
	writes int
}

// ending is a connection that waits for the target's end.
type ending struct {
	fd   int
	look time.Time // when to look next
}

// forwarder plays flows to a target.
type forwarder struct {
	mirror mirror
	target sockaddr
	flows  map[key]*flow
	queue  []*flow // those with something to write, or that have ended
	unused []*flow
	ending []ending
}

func newForwarder(m mirror, target netip.AddrPort) *forwarder {
	return &forwarder{mirror: m, target: newSockaddr(target), flows: make(map[key]*flow)}
}

// take notes what a frame brings. deliver must be called while the frame is there.
func (f *forwarder) take(frame []byte) {
	s, ok := f.mirror.parse(frame)
	if !ok {
		return
	}
	fl := f.flows[s.key]
	if s.flags&flagSYN != 0 {
		if fl != nil && fl.next == s.seq+1 {
			return // the client's second try
		}
		if fd := connect(&f.target); fd >= 0 {
			f.flows[s.key] = f.newFlow(fd, s.seq+1)
		}
		return
	}
	if fl == nil {
		return
	}
	fl.add(s)
	if s.flags&(flagFIN|flagRST) != 0 {
		fl.ended = true
		delete(f.flows, s.key)
	}
	if !fl.queued && (fl.ended || len(fl.parts) > 0) {
		fl.queued = true
		f.queue = append(f.queue, fl)
	}
}

// add takes what was not there before. What is missing is not missed.
func (f *flow) add(s segment) {
	end := s.seq + uint32(len(s.payload))
	if seen := int(int32(f.next - s.seq)); seen > 0 {
		s.payload = s.payload[min(seen, len(s.payload)):]
	}
	if len(s.payload) == 0 {
		return
	}
	f.next = end
	if len(f.parts) == mostParts-1 { // one is left for f.left
		f.write()
	}
	part := unix.Iovec{Base: &s.payload[0]}
	part.SetLen(len(s.payload))
	f.parts = append(f.parts, part)
}

// newFlow begins a flow whose first byte has the sequence number next.
func (f *forwarder) newFlow(fd int, next uint32) *flow {
	n := len(f.unused)
	if n == 0 {
		return &flow{fd: fd, next: next}
	}
	fl := f.unused[n-1]
	f.unused = f.unused[:n-1]
	*fl = flow{fd: fd, next: next, parts: fl.parts[:0], left: fl.left[:0]}
	return fl
}

// deliver writes what the flows have. What their sockets do not take is kept for
// the next call.
func (f *forwarder) deliver() {
	again := f.queue[:0]
	for _, fl := range f.queue {
		fl.write()
		if len(fl.left) > 0 {
			again = append(again, fl)
			continue
		}
		fl.queued = false
		if fl.ended {
			shutdown(fl.fd)
			f.ending = append(f.ending, ending{fl.fd, time.Now().Add(farewell)})
			f.unused = append(f.unused, fl)
		}
	}
	f.queue = again
	if len(f.ending) > 0 {
		f.closeEnded(time.Now())
	}
}

// closeEnded closes the connections that the target has ended too.
func (f *forwarder) closeEnded(now time.Time) {
	n := 0
	for n < len(f.ending) && !now.Before(f.ending[n].look) {
		e := f.ending[n]
		n++
		if open := discardAnswers(e.fd); open {
			f.ending = append(f.ending, ending{e.fd, now.Add(farewell)})
		} else {
			closeSocket(e.fd)
		}
	}
	f.ending = f.ending[:copy(f.ending, f.ending[n:])]
}

// patience is how many milliseconds the next deliver may wait, if no block comes.
func (f *forwarder) patience() int {
	switch {
	case len(f.queue) > 0:
		return 1
	case len(f.ending) > 0:
		return int(farewell / time.Millisecond)
	default:
		return -1
	}
}

// write makes one write of what the flow has, and keeps a copy of the rest.
func (f *flow) write() {
	kept := len(f.left)
	if kept > 0 {
		first := unix.Iovec{Base: &f.left[0]}
		first.SetLen(kept)
		f.parts = append(f.parts, unix.Iovec{})
		copy(f.parts[1:], f.parts)
		f.parts[0] = first
	}
	if len(f.parts) == 0 {
		return
	}
	done, failed := writev(f.fd, f.parts)
	if failed {
		f.left, f.parts = f.left[:0], f.parts[:0]
		return
	}
	f.keep(kept, done)
	f.parts = f.parts[:0]
	if f.writes++; f.writes%discard == 0 {
		discardAnswers(f.fd)
	}
}

// keep leaves in left what the first done bytes of parts do not cover. The first
// kept bytes of the parts are those of left.
func (f *flow) keep(kept, done int) {
	first := f.parts
	if kept > 0 {
		gone := min(done, kept)
		f.left = f.left[:copy(f.left, f.left[gone:])]
		first, done = first[1:], done-gone
	}
	for _, p := range first {
		b := bytesOf(p)
		gone := min(done, len(b))
		f.left, done = append(f.left, b[gone:]...), done-gone
	}
}
