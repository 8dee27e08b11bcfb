package bridge

// probeSize is how much is risked on a target that has closed its side. It holds
// most requests, and little is held while it waits.
const probeSize = 4 << 10

// onProbation reports whether the target has sent its FIN and nothing yet shows
// which kind: of a half-close, so that it reads on, or of a close, as after the
// last request that it allows a connection, so that it answers the next bytes
// with a RST and they are lost to it.
func (s *stream) onProbation() bool { return s.targetFIN && !s.proven }

// sendProbe passes one small piece on and keeps it until the target has acknowledged
// it, which proves a half-close, or has reset the connection: then what it did
// not acknowledge goes back. The end of the stream has nothing to lose and needs
// no proof.
func (s *stream) sendProbe() {
	p := s.l.buf[:probeSize]
	n, err := s.in.TryRead(p)
	if n == 0 {
		if err != nil {
			s.end(err)
		}
		return
	}
	p = p[:n]
	// Only with nothing else under way is an acknowledgement one of this piece.
	if queued, err := s.out.unacked(); err != nil || queued > 0 {
		s.in.Unread(p)
		s.awaitAcks(clearing)
		return
	}
	out := s.alter(p)
	if len(out) == 0 { // nothing of it is for the target
		s.settle(p, 0)
		s.l.schedule(s)
		return
	}
	written, err := s.out.write(out, false)
	s.wrote += int64(written)
	if err != nil {
		s.settle(p, 0)
		s.targetClosed()
		return
	}
	if written == 0 { // the kernel has no memory for it; that nothing is left unacknowledged proves nothing
		s.settle(p, 0)
		s.block(0)
		return
	}
	s.probe, s.written = append(s.probe[:0], p...), written
	s.awaitAcks(probing)
}

// settleProbe accounts for a probe: the target took of it what it acknowledged. What
// a RST alone acknowledges does not count, since a close with unread bytes looks like
// that; a target that read them just before it reset may see them again. What it did
// not take goes back or, at a shutdown, which does not wait to be told of the last
// bytes, is lost.
func (s *stream) settleProbe(back bool) {
	left, err := s.out.unacked()
	if err != nil {
		left = s.written
	}
	taken := s.written - min(s.unread(left), s.written)
	if back {
		s.settle(s.probe, taken)
	} else {
		used := s.used(s.probe, taken)
		s.count(taken, used, len(s.probe)-used)
	}
	s.probe = nil
	s.enter(copying)
}
