package bridge

import (
	"context"
	"log/slog"
)

// settle accounts for p, a piece that was read: the target took the first taken bytes
// of what was made of it; what is not done with goes back to the accepted Stream.
func (s *stream) settle(p []byte, taken int) {
	used := s.used(p, taken)
	if used < len(p) {
		s.in.Unread(p[used:])
	}
	s.count(taken, used, 0)
}

// count counts bytes that the target took, and bytes read for good: those that are done
// with and those that are lost.
func (s *stream) count(taken, used, lost int) {
	s.got += int64(used + lost)
	s.sent += int64(taken)
	s.b.n.read.Add(uint64(used + lost))
	s.b.n.written.Add(uint64(taken))
	s.b.n.unsent.Add(uint64(lost))
}

// account counts a stream that has ended, before that is told: what goes on of
// it may be the next that is accepted.
func (s *stream) account() {
	s.b.n.outcomes[s.how].Add(1)
	if s.endedAtOnce() {
		s.b.n.closedAtOnce.Add(1)
	}
	s.givePlace()
	if log := s.b.cfg.Logger; log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug("stream ended", "src", s.in.RemoteAddr(), "dst", s.b.cfg.Target,
			"outcome", s.how.String(), "bytes_read", s.got, "bytes_written", s.sent)
	}
}
