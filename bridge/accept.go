package bridge

import (
	"errors"
	"fmt"
	"net"

	"netmirror/outcome"
)

// maxFresh is how many streams are taken in that have not begun. The listener keeps the
// others, and knows so that there are many.
const maxFresh = 256

// listen takes in the streams that have come by now.
func (l *loop) listen() {
	for l.more && !l.closing {
		if len(l.fresh) >= maxFresh {
			return
		}
		in, err := l.ln.TryAccept()
		switch {
		case err != nil:
			l.closing = true
			if !errors.Is(err, net.ErrClosed) && l.ctx.Err() == nil {
				l.failure = fmt.Errorf("bridge: accept: %w", err)
				l.cancel()
			}
		case in == nil:
			l.more = false
		default:
			l.accept(l.of(in), in)
		}
	}
}

// accept takes a stream that has come, for b to play.
func (l *loop) accept(b *Bridge, in outcome.Stream) {
	l.follow(b)
	b.n.streams.Add(1)
	s := newStream(l, b, in)
	if s.chosen() {
		b.n.waiting.Add(1)
	} else if !s.takePlace() {
		s.turnAway(outcome.EndShed)
		return
	}
	if l.aborted || b.closed.Err() != nil {
		s.turnAway(outcome.EndShutdown)
		return
	}
	l.live[s] = struct{}{}
	l.urgent += urgency(s.phase)
	in.OnReadable(func() { l.in.readable(s) })
	l.fresh = append(l.fresh, s)
}
