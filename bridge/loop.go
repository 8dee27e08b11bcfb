package bridge

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"netmirror/outcome"
)

// loop plays the streams of one listener, all in one goroutine and whatever their
// targets: none of them waits for anything there. What they wait for comes to it from
// elsewhere: sockets and times by the poller, bytes of clients, new streams and looked-up
// names by the inbox. docs/bridge.md has the states of a stream.
type loop struct {
	ctx    context.Context // of dials and lookups; ends with the streams
	cancel func()          // ends ctx
	ln     Listener
	of     func(outcome.Stream) *Bridge
	poll   *poller
	in     inbox
	wg     sync.WaitGroup // one for each goroutine that was started

	// Of the loop's goroutine.
	now     int64 // nanoseconds since poll.begun
	live    map[*stream]struct{}
	fresh   []*stream // have not begun
	turns   []*stream // have something to do
	spare   []*stream
	timers  timers
	names   map[*Bridge]*names
	bridges map[*Bridge]func() bool // those followed: what ends the wait for each one's Close
	rhythm  rhythm
	urgent  int   // streams that connect or wait for room
	flood   int64 // until when large answers may come
	again   bool  // something may have happened since the last fetch
	more    bool  // the listener may have streams that were left to it
	closing bool  // no stream will come any more
	aborted bool  // nor may one go on
	abroad  int   // goroutines that will post what they found
	failure error // of the listener
	buf     [bufferSize]byte
	altered []byte // what is sent of buf, where that has to be copied
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
		l.again = false
		l.take()
		l.poll.fetch()
		l.expire()
		l.step()
		l.begin()
		if l.closing && len(l.live) == 0 && l.abroad == 0 {
			return
		}
		if !l.again && len(l.turns) == 0 && len(l.fresh) == 0 {
			l.sleep()
		}
	}
}

// take lets in what came from elsewhere.
func (l *loop) take() {
	posts, ready, streams := l.in.take()
	// Not before: an alarm whose signal was taken has to be past.
	l.now = l.poll.now()
	for _, f := range posts {
		f()
	}
	if streams || l.more {
		l.listen()
	}
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

// step gives each of those that have something to do a turn.
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

// expire tells the streams whose time has come.
func (l *loop) expire() {
	for len(l.timers) > 0 && l.timers[0].due <= l.now {
		s := l.timers[0]
		l.timers.stop(s)
		s.expired()
	}
}

// after has s wait for d.
func (l *loop) after(s *stream, d time.Duration) { l.timers.set(s, l.now+int64(d)) }

// begin connects some of the streams that have come. Where more come than can begin,
// those are the newest and one of the oldest: the stack gives up the oldest first, so
// that in the order of their coming all would be given up by the time of their turn.
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

// follow has the streams of a bridge end with it.
func (l *loop) follow(b *Bridge) {
	if l.bridges[b] != nil {
		return
	}
	maps.DeleteFunc(l.bridges, func(other *Bridge, _ func() bool) bool { return other.closed.Err() != nil })
	l.bridges[b] = context.AfterFunc(b.closed, func() {
		l.in.post(func() { l.end(b) })
	})
}

// unfollow lets go of the bridges.
func (l *loop) unfollow() {
	for _, stop := range l.bridges {
		stop()
	}
}

// goPost runs f in a goroutine and what it returns in the loop's.
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
