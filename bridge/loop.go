package bridge

import (
	"context"
	"sync"
	"time"

	"netmirror/outcome"
)

// loop plays the streams of one listener, all in one goroutine: none of them waits
// for anything there. What they wait for comes to it from elsewhere: sockets and
// times by the poller, bytes of clients, new streams and looked-up names by the
// inbox. docs/bridge.md has the states of a stream.
type loop struct {
	b    *Bridge
	ctx  context.Context // of dials and lookups; ends with the streams
	poll *poller
	in   inbox
	wg   sync.WaitGroup // one for each goroutine that was started

	// Of the loop's goroutine.
	now     int64 // nanoseconds since poll.start
	live    map[*stream]struct{}
	turns   []*stream // have something to do
	spare   []*stream
	timers  timers
	names   names
	rhythm  rhythm
	urgent  int   // streams that connect or wait for room
	flood   int64 // until when large answers may come
	again   bool  // something may have happened since the last fetch
	closing bool  // no stream will come any more
	aborted bool  // nor may one go on
	abroad  int   // goroutines that will post what they found
	buf     [bufferSize]byte
}

// bufferSize is how much of a stream is read at a time.
const bufferSize = 64 << 10

// turnsPerFetch is how many streams may write before their targets' ends are heard
// again. What is written to a target that has closed is lost.
const turnsPerFetch = 16

func newLoop(ctx context.Context, b *Bridge) (*loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	l := &loop{b: b, ctx: ctx, poll: p, live: make(map[*stream]struct{})}
	l.names.init(b.cfg.Target)
	l.in.wake = make(chan struct{}, 1)
	return l, nil
}

// run returns when no stream is left and none can come.
func (l *loop) run() {
	for {
		l.now, l.again = l.poll.now(), false
		l.take()
		if !l.poll.fetch() {
			l.again = true
		}
		l.expire()
		l.step()
		if l.closing && len(l.live) == 0 && l.abroad == 0 {
			return
		}
		if l.again || len(l.turns) > 0 {
			continue
		}
		l.sleep()
	}
}

// sleep waits until something has come.
func (l *loop) sleep() {
	calm := l.rhythm.calm(l.now)
	// What targets do is fetched with the next bytes of clients, if these come soon.
	if l.poll.wake(calm || l.urgent > 0 || l.now < l.flood) {
		return
	}
	if !l.poll.open && len(l.live) > 0 {
		l.poll.wakeAt(l.now+int64(latest), l.now)
	}
	if len(l.timers) > 0 {
		l.poll.wakeAt(l.timers[0].due, l.now)
	}
	l.in.await()
}

const (
	// latest is how long what targets do may go unnoticed while bytes of clients come.
	latest = 20 * time.Millisecond
	// often is how many times the loop has to be woken in that time not to be woken for
	// the targets as well.
	often = 5
	// floodFor is how long after a large answer the loop is woken for others.
	floodFor = time.Second
)

// rhythm tells whether a loop is woken often.
type rhythm struct {
	since int64 // the time at hand, in the loop's time
	wakes int   // in it
	busy  bool  // in the one before
}

// calm notes that the loop goes to sleep, and reports whether it is not woken often.
func (r *rhythm) calm(now int64) bool {
	r.wakes++
	if now-r.since >= int64(latest) {
		r.busy = r.wakes > often && now-r.since < 2*int64(latest)
		r.since, r.wakes = now, 0
	}
	return !r.busy
}

// take lets in what came from elsewhere.
func (l *loop) take() {
	posts, ready := l.in.take()
	for _, f := range posts {
		f()
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
	for i, s := range turns {
		if i%turnsPerFetch == turnsPerFetch-1 {
			l.poll.fetch()
		}
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

// accept begins a stream.
func (l *loop) accept(s *stream) {
	if l.aborted {
		s.turnAway(outcome.EndShutdown)
		return
	}
	l.live[s] = struct{}{}
	l.urgent += urgency(s.phase)
	s.in.OnReadable(func() { l.in.readable(s) })
	s.begin()
}

// abort resets every stream, now and for good.
func (l *loop) abort() {
	l.aborted = true
	for s := range l.live {
		s.finish(outcome.EndShutdown)
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

// inbox is what comes to a loop from other goroutines.
type inbox struct {
	wake chan struct{} // holds a token when the loop is to wake up

	mu     sync.Mutex // guards the fields below
	posts  []func()
	ready  []*stream // may have bytes
	news   bool      // of the poller
	asleep bool      // the loop waits for wake
	// The slices of the take before.
	sparePosts []func()
	spareReady []*stream
}

// post has f run in the loop's goroutine.
func (b *inbox) post(f func()) {
	b.mu.Lock()
	b.posts = append(b.posts, f)
	b.rouse()
}

// readable gives s a turn. It may be called with any locks held.
func (b *inbox) readable(s *stream) {
	if s.notified.Swap(true) {
		return
	}
	b.mu.Lock()
	b.ready = append(b.ready, s)
	b.rouse()
}

// event says that the poller has something to fetch.
func (b *inbox) event() {
	b.mu.Lock()
	b.news = true
	b.rouse()
}

// rouse wakes the loop where it sleeps. It unlocks b.mu, which is held.
func (b *inbox) rouse() {
	asleep := b.asleep
	b.asleep = false
	b.mu.Unlock()
	if asleep {
		b.wake <- struct{}{}
	}
}

// take returns what has come. It is valid until the next take.
func (b *inbox) take() (posts []func(), ready []*stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	posts, ready = b.posts, b.ready
	clear(b.sparePosts)
	clear(b.spareReady)
	b.posts, b.ready = b.sparePosts[:0], b.spareReady[:0]
	b.sparePosts, b.spareReady = posts, ready
	b.news = false
	return posts, ready
}

// await returns when there is something to take or to fetch.
func (b *inbox) await() {
	b.mu.Lock()
	if b.news || len(b.posts) > 0 || len(b.ready) > 0 {
		b.mu.Unlock()
		return
	}
	b.asleep = true
	b.mu.Unlock()
	<-b.wake
}
