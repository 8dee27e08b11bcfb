package bridge

import "sync"

// inbox is what comes to a loop from other goroutines.
type inbox struct {
	wake chan struct{} // holds a token when the loop is to wake up

	mu         sync.Mutex // guards the fields below
	posts      []func()
	ready      []*stream // may have bytes
	news       bool      // of the poller
	newStreams bool      // of the listener
	asleep     bool      // the loop waits for wake
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

// streams says that the listener has a stream, or will have none any more. It may be
// called with any locks held.
func (b *inbox) streams() {
	b.mu.Lock()
	b.newStreams = true
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

// take returns what has come, and whether the listener has something. It is valid until
// the next take.
func (b *inbox) take() (posts []func(), ready []*stream, streams bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	posts, ready = b.posts, b.ready
	clear(b.sparePosts)
	clear(b.spareReady)
	b.posts, b.ready = b.sparePosts[:0], b.spareReady[:0]
	b.sparePosts, b.spareReady = posts, ready
	streams = b.newStreams
	b.news, b.newStreams = false, false
	return posts, ready, streams
}

// await returns when there is something to take or to fetch.
func (b *inbox) await() {
	b.mu.Lock()
	if b.news || b.newStreams || len(b.posts) > 0 || len(b.ready) > 0 {
		b.mu.Unlock()
		return
	}
	b.asleep = true
	b.mu.Unlock()
	<-b.wake
}
