package bridge

import "golang.org/x/sys/unix"

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
}

// step is for RawConn.Read: it discards what is there, once, or reports false
// to be called again when the socket has news. Once keeps the descriptor's lock
// short, which Close waits for, whatever the target sends.
func (a *answers) step(fd uintptr) bool {
	a.n = 0
	if !a.fin {
		n, err := receiveDiscard(fd)
		switch {
		case err == unix.EAGAIN:
			return false
		case err != nil:
			a.over, a.err = true, err
			return true
		case n > 0:
			a.n = n
			return true
		}
		a.fin = true
	}
	a.over, a.err = closed(fd)
	return a.over
}

// discard throws away what the target answers, until the connection is over or
// the stream is finished. The target's FIN alone does not end the stream; its RST
// does, after a FIN too.
func (s *stream) discard() {
	defer close(s.drained)
	var a answers
	step := a.step
	for {
		if err := s.raw.Read(step); err != nil { // finish closed it
			return
		}
		switch {
		case a.over && a.err == nil && s.finSent.Load():
			s.finish(complete)
			return
		case a.over:
			s.finish(targetClosed)
			return
		default:
			s.answered.Add(int64(a.n))
			s.b.n.discarded.Add(uint64(a.n))
		}
	}
}
