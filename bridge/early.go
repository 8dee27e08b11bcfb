package bridge

import (
	"time"

	"netmirror/outcome"
)

// atOnce is how soon after a client's first bytes a target's end counts as one at once. A
// target that speaks another protocol ends a connection sooner than that, and an idle
// keep-alive limit later.
const atOnce = time.Second

// ending notes when the target first said that it ends the connection: with its FIN, or a
// reset.
func (s *stream) ending() {
	if s.targetEnd == 0 {
		s.targetEnd = max(s.l.now, 1)
	}
}

// endedAtOnce reports whether the target has ended the stream soon after the client's first
// bytes, or after the connection was made if it has none.
func (s *stream) endedAtOnce() bool {
	return s.how == outcome.EndTargetClosed && s.targetEnd != 0 && s.targetEnd-s.first < int64(atOnce)
}
