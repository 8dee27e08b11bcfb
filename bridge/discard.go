package bridge

import (
	"math"

	"golang.org/x/sys/unix"

	"netmirror/outcome"
)

// answerBatch is how many bytes of answers an open stream leaves to the kernel
// before it wakes to discard them. Waking for each of 20 000 small answers a
// second took a third of the CPU; twice this size saves no more.
const answerBatch = 8 << 10

// answers is what discard knows of the target's direction.
type answers struct {
	n    int   // bytes thrown away by the last step
	fin  bool  // the target's FIN was read
	over bool  // the connection has ended in both directions
	err  error // what cut it off
	left int   // bytes that the target has not acknowledged; valid once over
}

// step is for RawConn.Read: it discards what is there, once, or reports false
// to be called again when the socket has news. Once keeps the descriptor's lock
// short, which Close waits for, whatever the target sends.
func (a *answers) step(fd uintptr) bool {
	a.n = 0
	if a.fin {
		return a.look(fd)
	}
	n, err := receiveDiscard(fd)
	switch {
	case err == unix.EAGAIN:
		return false
	case err != nil:
		a.end(fd, err)
	case n > 0:
		a.n = n
	default:
		a.fin = true
		a.look(fd)
	}
	return true
}

// look reports whether the connection is over.
func (a *answers) look(fd uintptr) bool {
	if over, err := closed(fd); over {
		a.end(fd, err)
	}
	return a.over
}

func (a *answers) end(fd uintptr, err error) {
	a.over, a.err = true, err
	if left, err := sendQueue(fd); err == nil {
		a.left = left
	}
}

// discard throws away what the target answers, until the connection is over or
// the stream is finished. The target's FIN alone does not end the stream; its RST
// does, after a FIN too.
func (s *stream) discard() {
	defer close(s.drained)
	a := answers{left: math.MaxInt}
	defer func() { s.left = a.left }()
	step := a.step
	for {
		if err := s.raw.Read(step); err != nil { // finish closed it
			return
		}
		switch {
		case a.over && a.err == nil && s.finSent.Load():
			s.finish(outcome.EndComplete)
			return
		case a.over:
			s.finish(outcome.EndTargetClosed)
			return
		case a.fin:
			s.heardFIN()
		default:
			s.answered.Add(int64(a.n))
			s.b.n.discarded.Add(uint64(a.n))
		}
	}
}

// heardFIN notes that the target has closed its side, and whether it did so first.
func (s *stream) heardFIN() {
	if s.targetFIN.Swap(true) || s.finSent.Load() {
		return
	}
	s.b.n.closedFirst.Add(1)
	s.in.Split()
}
