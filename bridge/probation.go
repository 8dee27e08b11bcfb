package bridge

import "netmirror/outcome"

// probeSize is how much is risked on a target that has closed its side. It holds
// most requests, and little is held while it waits.
const probeSize = 4 << 10

// onProbation reports whether the target has sent its FIN and nothing yet shows
// which kind: of a half-close, so that it reads on, or of a close, as after the
// last request that it allows a connection, so that it answers the next bytes
// with a RST and they are lost to it.
func (s *stream) onProbation() bool { return s.targetFIN.Load() && !s.proven }

// probe passes one small piece on and keeps it until the target has acknowledged
// it, which proves a half-close, or has reset the connection: then what it did
// not acknowledge goes back. The end of the stream has nothing to lose and needs
// no proof.
func (s *stream) probe() error {
	p := make([]byte, probeSize)
	n, err := s.in.Read(p)
	if n == 0 {
		return err
	}
	p = p[:n]
	// Only with nothing else under way is an acknowledgement one of this piece.
	if queued, err := unacked(s.raw); err != nil || queued > 0 {
		s.await = acks
		s.settle(p, 0)
		return nil
	}
	s.await = nothing
	taken, err := s.deliver(p)
	s.settle(p, taken)
	s.proven = err == nil && taken > 0
	return err
}

// deliver writes p, with nothing unacknowledged before it, and waits for what
// becomes of it: the target acknowledged the first taken bytes. What a RST alone
// acknowledges does not count, since a close with unread bytes looks like that;
// a target that read them just before it reset may see them again.
func (s *stream) deliver(p []byte) (taken int, err error) {
	written, err := s.send.write(p)
	s.wrote += int64(written)
	if err != nil {
		return 0, verdict(outcome.EndTargetClosed)
	}
	left, err := s.awaitAcks()
	return written - min(left, written), err
}
