package bridge

import (
	"errors"
	"math"
	"os"
	"sync"
	"time"

	"netmirror/outcome"
)

// bufferSize is how much of a stream is read at a time.
const bufferSize = 64 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// need is what forward waits for before it reads on, with no buffer in hand:
// 20 000 streams whose target is slow would hold 1.3 GB of them.
type need uint8

const (
	nothing need = iota
	room         // in the socket, which did not take all of the last piece
	acks         // for all that was written
)

// forward copies the stream to the target until either ends, and then sees to
// the end.
func (s *stream) forward() {
	for {
		// Its error, if any, is the next Read's, behind what is still to be read.
		_ = s.in.WaitReadable()
		if err := s.step(); err != nil {
			s.end(err)
			return
		}
	}
}

// step waits until the target can take more and passes one piece on. The error
// is Read's or a verdict; a verdict about a stream that has ended already, which
// shows as a closed descriptor, says nothing new.
func (s *stream) step() error {
	if err := s.ready(); err != nil {
		return err
	}
	if !s.hold() {
		return verdict(outcome.EndTargetClosed)
	}
	defer s.release()
	if s.onProbation() {
		return s.probe()
	}
	return s.pass()
}

// ready waits for what the last piece left to wait for.
func (s *stream) ready() (err error) {
	switch s.await {
	case room:
		err = s.awaitRoom()
	case acks:
		_, err = s.awaitAcks()
	}
	return err
}

// pass reads once and writes once, without waiting for the target. What it does
// not take is given back rather than kept.
func (s *stream) pass() error {
	// A request that comes after a pause must not overtake the FIN that the
	// target sent in the meantime. In a bulk transfer there is no pause.
	if !s.bulk && s.send.peerClosed() {
		s.heardFIN()
		if s.onProbation() {
			return nil
		}
	}
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	n, err := s.in.Read(buf[:])
	s.bulk = n == len(buf)
	if n == 0 {
		return err
	}
	// An error that came with bytes comes again, behind those that go back.
	p := buf[:n]
	if s.onProbation() { // since this Read began
		s.settle(p, 0)
		return nil
	}
	taken, err := s.send.write(p)
	s.wrote += int64(taken)
	s.settle(p, taken)
	if err != nil {
		return verdict(outcome.EndTargetClosed)
	}
	s.vain = s.await == room && taken == 0
	s.await = nothing
	if taken < len(p) {
		s.await = room
	}
	return nil
}

// awaitRoom waits until the target's socket is writable, or the target has taken
// nothing for too long.
func (s *stream) awaitRoom() error {
	if s.vain {
		// The kernel has no memory for what it reports as room. Do not spin.
		s.pause(time.Millisecond)
	}
	limit := s.b.cfg.WriteTimeout
	var t stall
	for {
		// Looking more often than limit tells a target that takes bytes, too few to
		// make the socket writable again, from one that takes none.
		err := s.out.SetWriteDeadline(time.Now().Add(max(limit/8, time.Millisecond)))
		if err == nil {
			err = s.raw.Write(writable)
		}
		switch {
		case err == nil: // or the connection is gone, which the next write tells
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return verdict(outcome.EndTargetClosed)
		}
		queued, err := unacked(s.raw)
		if err != nil {
			return verdict(outcome.EndTargetClosed)
		}
		if t.over(time.Now(), -int64(queued), limit) {
			return verdict(outcome.EndTargetSlow)
		}
	}
}

// awaitAcks waits until the target has acknowledged all that was written, which
// left 0 tells; otherwise left is how many bytes it has not, as far as is known,
// and the error a verdict. It looks at once, and often at first: near by that is
// enough.
func (s *stream) awaitAcks() (left int, err error) {
	const first, slowest = 50 * time.Microsecond, 50 * time.Millisecond
	left = math.MaxInt
	var t stall
	for pause := first; ; pause = min(2*pause, slowest) {
		queued, err := unacked(s.raw)
		if err != nil { // finish closed it
			break
		}
		if left = queued; left == 0 {
			return 0, nil
		}
		if t.over(time.Now(), -int64(left), s.b.cfg.WriteTimeout) {
			return left, verdict(outcome.EndTargetSlow)
		}
		if !s.pause(pause) {
			break
		}
	}
	<-s.drained
	return min(left, s.left), verdict(outcome.EndTargetClosed)
}

// pause waits for d, or less where discard has ended, which it reports as false.
func (s *stream) pause(d time.Duration) bool {
	select {
	case <-s.drained:
		return false
	case <-time.After(d):
		return true
	}
}
