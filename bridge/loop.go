package bridge

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"netmirror/outcome"
)

// loop plays all streams of one listener in one goroutine, whatever their targets. Nothing
// blocks there. Events come from outside: those of sockets and timers from the poller;
// clients' bytes, new streams and looked-up names from the inbox. docs/bridge.md has the
// states of a stream.
type loop struct {
	ctx    context.Context // of dials and lookups; ends with the streams
	cancel func()          // ends ctx
	ln     Listener
	of     func(outcome.Stream) *Bridge
	poll   *poller
	in     inbox
	wg     sync.WaitGroup // one for each goroutine that was started

	// Of the loop's goroutine.
	now         int64 // nanoseconds since poll.begun
	live        map[*stream]struct{}
	fresh       []*stream // have not begun
	turns       []*stream // have something to do
	unconfirmed []*stream // may not be known to their targets, in the order in which they connected
	spare       []*stream
	timers      timers
	names       map[*Bridge]*names
	bridges     map[*Bridge]func() bool // bridges with streams here; the func stops waiting for the bridge's Close
	rooms       []*Room                 // of those bridges, mostly one
	active      int64                   // when something came from clients last
	urgent      int                     // streams that connect or wait for room
	flood       int64                   // until when large answers may come
	again       bool                    // something may have happened since the last fetch
	more        bool                    // the listener may have streams that were left to it
	closing     bool                    // no stream will come any more
	aborted     bool                    // nor may one go on
	abroad      int                     // goroutines that will post what they found
	failure     error                   // of the listener
	buf         [bufferSize]byte
	altered     []byte // what is sent of buf, where that has to be copied
}

// bufferSize is how much of a stream is read at a time.
const bufferSize = 64 << 10

// beginnings is how many streams may begin before others go on: it takes longest.
const beginnings = 16

func newLoop(ctx context.Context, cancel func(), ln Listener, of func(outcome.Stream) *Bridge) (*loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	l := &loop{
		ctx: ctx, cancel: cancel, ln: ln, of: of, poll: p,
		live: make(map[*stream]struct{}), names: make(map[*Bridge]*names),
		bridges: make(map[*Bridge]func() bool),
	}
	l.in.wake = make(chan struct{}, 1)
	l.in.newStreams = true // what came before
	return l, nil
}

// run returns when no stream is left and none can come.
func (l *loop) run() {
	defer l.unfollow()
	for {
		l.round()
		if l.closing && len(l.live) == 0 {
			if l.abroad == 0 {
				return
			}
			l.cancel() // nobody needs what they find
		}
		if !l.again && len(l.turns) == 0 && len(l.fresh) == 0 {
			l.sleep()
		}
	}
}

// round deals with all that has come so far. What may end streams goes before the new ones, which
// need their places.
func (l *loop) round() {
	l.again = false
	l.take()
	l.poll.fetch()
	l.listen()
	l.expire()
	l.step()
	l.begin()
	l.confirm()
}

// take takes in what has come to the inbox.
func (l *loop) take() {
	posts, ready, streams := l.in.take()
	// Not before: an alarm whose signal was taken has to be past.
	l.now = l.poll.now()
	for _, f := range posts {
		f()
	}
	if streams || len(ready) > 0 {
		l.active = l.now
	}
	l.more = l.more || streams
	for _, s := range ready {
		s.notified.Store(false)
		l.schedule(s)
	}
}

// schedule gives s a turn.
func (l *loop) schedule(s *stream) {
	if !s.scheduled && s.phase != ended {
		s.scheduled = true
		l.turns = append(l.turns, s)
	}
}

// step gives each scheduled stream a turn.
func (l *loop) step() {
	turns := l.turns
	l.turns = l.spare[:0]
	for _, s := range turns {
		s.scheduled = false
		s.turn()
	}
	clear(turns)
	l.spare = turns
}

// expire calls the streams whose timers have expired.
func (l *loop) expire() {
	for len(l.timers) > 0 && l.timers[0].due <= l.now {
		s := l.timers[0]
		l.timers.stop(s)
		s.expired()
	}
}

// after sets the timer of s to go off in d.
func (l *loop) after(s *stream, d time.Duration) { l.timers.set(s, l.now+int64(d)) }

// begin connects some of the new streams. If too many have come, it takes the newest and the
// oldest one. The stack gives up the oldest first, so in the order of arrival each would be
// given up just before its turn.
func (l *loop) begin() {
	behind := max(len(l.fresh)-beginnings, 0)
	for _, s := range l.fresh[behind:] {
		s.begin()
	}
	l.fresh = slices.Delete(l.fresh, behind, len(l.fresh))
	if behind > 0 {
		l.fresh[0].begin()
		l.fresh = slices.Delete(l.fresh, 0, 1)
	}
}

// abort resets every stream, now and for good.
func (l *loop) abort() {
	l.aborted = true
	l.end(nil)
}

// end resets every stream of a bridge's; nil: every stream.
func (l *loop) end(b *Bridge) {
	for s := range l.live {
		if b == nil || s.b == b {
			s.finish(outcome.EndShutdown)
		}
	}
}

// follow makes the streams of a bridge end when the bridge is closed.
func (l *loop) follow(b *Bridge) {
	if l.bridges[b] != nil {
		return
	}
	maps.DeleteFunc(l.bridges, func(other *Bridge, _ func() bool) bool { return other.closed.Err() != nil })
	l.bridges[b] = context.AfterFunc(b.closed, func() {
		l.in.post(func() { l.end(b) })
	})
	l.rooms = l.rooms[:0]
	for b := range l.bridges {
		if !slices.Contains(l.rooms, b.cfg.Room) {
			l.rooms = append(l.rooms, b.cfg.Room)
		}
	}
}

// unfollow stops waiting for the bridges' Close.
func (l *loop) unfollow() {
	for _, stop := range l.bridges {
		stop()
	}
}

// goPost runs f in a goroutine of its own, and then the function that f returns in the
// loop's goroutine.
func (l *loop) goPost(f func() func()) {
	l.abroad++
	l.wg.Go(func() {
		then := f()
		l.in.post(func() {
			l.abroad--
			then()
		})
	})
}
