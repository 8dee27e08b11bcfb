package stack

import (
	"bytes"
	"io"
	"runtime"
	"testing"
	"time"

	"netmirror/outcome"
)

// injects returns a channel that is closed when all batches have been injected.
func injects(s *Stack, batches ...[]Segment) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, batch := range batches {
			s.Inject(batch)
			for i := range batch { // it was read during the call only
				clear(batch[i].IP)
			}
		}
	}()
	return done
}

// The capture goes on while another goroutine has the flows, and all that it brings in that
// time comes to them as it was, in order.
func TestCaptureDoesNotWaitForTheFlows(t *testing.T) {
	s := newTestStack(t, nil)
	c := newClient(t, 1000)
	want := pattern(100_000)
	batches := [][]Segment{c.opening()}
	for at := 0; at < len(want); at += 10_000 {
		batches = append(batches, c.stream(at, want[at:at+10_000], 1000))
	}
	batches = append(batches, []Segment{c.fin(len(want))})
	s.mu.Lock()
	select {
	case <-injects(s, batches...):
	case <-time.After(10 * time.Second):
		s.mu.Unlock()
		t.Fatal("Inject waits for another goroutine")
	}
	s.mu.Unlock()
	if st := s.Stats(); st.Packets != 103 {
		t.Errorf("%d segments were taken in, want 103", st.Packets)
	}
	if got, err := readAll(t, accept(t, s)); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v; want the %d that were sent", len(got), err, len(want))
	}
	if st := s.Stats(); st.DroppedBytes != [outcome.NumDrops]uint64{} {
		t.Errorf("bytes dropped: %v", st.DroppedBytes)
	}
	checkIdentity(t, s)
}

// What waits for the flows is bounded. Then the capture waits as well, and nothing is lost.
func TestHandedOverIsBounded(t *testing.T) {
	s := newTestStack(t, nil)
	c := newClient(t, 1000)
	batch := c.stream(0, pattern(1<<20), 1<<14)
	s.mu.Lock()
	given := 0
	for ; s.mu.handOver(batch, time.Now()); given += 1 << 20 {
		if given > 2*maxHandedOver {
			t.Fatalf("%d bytes were taken, of at most %d", given, maxHandedOver)
		}
	}
	last := injects(s, batch)
	s.mu.Unlock()
	<-last
	if st := s.Stats(); st.Bytes != uint64(given+1<<20) {
		t.Errorf("%d bytes were taken in, want %d", st.Bytes, given+1<<20)
	}
	if !s.mu.handOver(batch, time.Now()) {
		t.Error("there is no room where nothing waits")
	}
}

// With a small budget, less waits for the flows.
func TestHandedOverIsAPartOfTheBudget(t *testing.T) {
	s := newTestStack(t, func(c *Config) { c.TotalBytes = 4 << 20 })
	batch := newClient(t, 1000).stream(0, pattern(1<<18), 1<<14)
	s.mu.Lock()
	defer s.mu.Unlock()
	given := 0
	for ; s.mu.handOver(batch, time.Now()); given += 1 << 18 {
		if given > 1<<20 {
			t.Fatalf("%d bytes of %d were taken", given, 4<<20)
		}
	}
}

// What was only handed over to the flows may fill a hole, though the ring is empty.
func TestAHoleIsNotGivenUpWhileItsBytesAreHandedOver(t *testing.T) {
	var s *timed
	var fill []Segment
	s = newTimed(t, func(c *Config) {
		c.Services = []Service{{Midstream: MidstreamOff}}
		now := c.Now
		c.CaughtUp = func() time.Time { // called while serve has the flows
			s.Inject(fill)
			fill = nil
			return now()
		}
	})
	c := newClient(t, 1000)
	s.Inject(c.opening())
	s.pass(10 * time.Millisecond)
	s.Inject([]Segment{c.data(10, []byte("behind")), c.server(1000, 16, "")})
	fill = []Segment{c.data(0, []byte("0123456789")), c.fin(16)}
	s.pass(200 * time.Millisecond)
	s.is(c, text("0123456789behind", nil))
}

// Where the flows are taken when it is time to look after them, whoever has them does.
func TestTheHolderLooksAfterTheFlows(t *testing.T) {
	s := newTimed(t, nil)
	c := newClient(t, 1000)
	s.Inject(c.opening())
	s.pass(10 * time.Millisecond)
	s.Stack.mu.Lock()
	s.clk.elapsed.Add(int64(time.Hour))
	s.signal()
	for !s.Stack.mu.asked.Load() {
		runtime.Gosched()
	}
	s.Stack.mu.Unlock()
	if n := s.open(); n != 0 {
		t.Errorf("%d idle flows are still open", n)
	}
}

// fastest is how long the fastest of five attempts takes: a busy machine may be slow, but not
// each time.
func fastest(t *testing.T, attempt func(t *testing.T)) time.Duration {
	least := time.Hour
	for range 5 {
		t.Run("", func(t *testing.T) {
			begun := time.Now()
			attempt(t)
			least = min(least, time.Since(begun))
		})
	}
	return least
}

// A batch that waits for the one behind it does not wait until serve looks by itself: the
// source may have found nothing of use there.
func TestABatchBehindWhichNoneComes(t *testing.T) {
	took := fastest(t, func(t *testing.T) {
		s := newTestStack(t, nil)
		c := newClient(t, 1)
		s.InjectBefore(append(c.opening(), c.data(0, []byte(get1)), c.fin(len(get1))), time.Now())
		if b, err := readAll(t, accept(t, s)); string(b) != get1 || err != nil {
			t.Errorf("read %q, %v", b, err)
		}
	})
	if took >= idleTick/2 {
		t.Errorf("the fastest of 5 streams took %v, want less than %v", took, idleTick/2)
	}
}

// A batch does not wait for long while others follow, each of which waits for the next.
func TestARowOfBatches(t *testing.T) {
	took := fastest(t, func(t *testing.T) {
		s := newTestStack(t, nil)
		c := newClient(t, 1)
		s.Inject(append(c.opening(), c.data(0, []byte("a"))))
		conn := accept(t, s)
		readExactly(t, conn, 1)
		settled(t, s)
		s.mu.Lock()
		s.dozes = false // as while traffic is steady
		s.mu.Unlock()
		s.InjectBefore([]Segment{c.data(1, []byte("b"))}, time.Now())
		for conn.unread() == 0 {
			s.InjectBefore([]Segment{c.ack(2)}, time.Now())
			runtime.Gosched()
		}
	})
	if took >= calmTick/2 {
		t.Errorf("the fastest of 5 batches took %v, want less than %v", took, calmTick/2)
	}
}

// A hole that is due to be given up is not if a batch has filled it that waits for another.
func TestAHoleIsFilledByABatchThatWaits(t *testing.T) {
	s := newTimed(t, func(c *Config) { c.Services = []Service{{Midstream: MidstreamOff}} })
	c := newClient(t, 1000)
	s.Inject(append(c.opening(), c.data(10, []byte("behind")), c.fin(16)))
	for doomed := false; !doomed; {
		s.pass(tick)
		s.Stack.mu.Lock()
		for _, f := range s.flows {
			doomed = !f.doomed.IsZero()
		}
		s.Stack.mu.Unlock()
	}
	s.clk.elapsed.Add(int64(tick))
	s.InjectBefore([]Segment{c.data(0, []byte("0123456789"))}, s.clk.now())
	s.Stack.mu.Mutex.Lock() // as serve has it
	s.lookAfterFlows()
	s.Stack.mu.Mutex.Unlock()
	s.is(c, text("0123456789behind", nil))
}

// A stream whose end was read is complete, though a RST waits behind it that comes to the
// flow first.
func TestAResetThatWaitsBehindTheEnd(t *testing.T) {
	for range 50 {
		t.Run("", func(t *testing.T) {
			s := newTestStack(t, nil)
			c := newClient(t, 1)
			s.Inject(append(c.opening(), c.data(0, []byte(get1)), c.fin(len(get1))))
			conn := accept(t, s)
			readExactly(t, conn, len(get1))
			settled(t, s)
			s.InjectBefore([]Segment{c.rst(len(get1) + 1)}, time.Now())
			if n, err := conn.TryRead(make([]byte, 1)); n > 0 || err != io.EOF {
				t.Fatalf("read %d bytes, %v; want the client's end", n, err)
			}
			conn.CloseWith(outcome.EndComplete)
			if st := s.Stats(); st.FlowsComplete != 1 || st.FlowsEnded != [outcome.NumEnds]uint64{} {
				t.Fatalf("%d streams complete, other ends %v", st.FlowsComplete, st.FlowsEnded)
			}
		})
	}
}

// A FIN where the client's bytes end is not replaced by a stray one in front of it.
func TestAStrayFINInTheNextBatch(t *testing.T) {
	const n = len(get1)
	for range 20 {
		t.Run("", func(t *testing.T) {
			s := newTestStack(t, nil)
			c := newClient(t, 1)
			s.Inject(append(c.opening(), c.data(0, []byte(get1))))
			conn := accept(t, s)
			settled(t, s)
			s.InjectBefore([]Segment{c.data(n, []byte(get2)), c.fin(2 * n)}, time.Now())
			s.Inject([]Segment{c.fin(n + 5)})
			if b, err := readAll(t, conn); string(b) != get1+get2 || err != nil {
				t.Errorf("read %q, %v", b, err)
			}
		})
	}
}
