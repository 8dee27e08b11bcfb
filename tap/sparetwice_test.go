package tap

import (
	"io"
	"runtime"
	"sync"
	"testing"
	"time"

	"netmirror/source"
)

// sparingGroup is n rings with a spare one, and a frame that belongs into the last of them.
func sparingGroup(t *testing.T, n int) (rings []*Ring, fd int, frame []byte) {
	cfg := sparing
	cfg.RingBytes = (n + 1) * cfg.SpareBytes
	return groupOf(t, cfg, n)
}

func groupOf(t *testing.T, cfg Config, n int) (rings []*Ring, fd int, frame []byte) {
	l := newLab(t, 1500)
	f := flow{peer4, mon4, 50000}
	for f.hash(false)%uint32(n) != uint32(n-1) {
		f.port++
	}
	return l.openGroup(t, cfg, n), l.sender(t), mirroredFlow(t, f)
}

// until waits for something.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("in 10 s not: ", what)
		}
	}
}

// stalling reads rings, but for as long as stall is held.
func stalling(t *testing.T, rings []*Ring, stall *sync.RWMutex) (end func()) {
	var readers sync.WaitGroup
	for _, r := range rings {
		readers.Go(func() {
			for {
				if _, err := r.Next(); err != nil {
					if err != io.EOF {
						t.Error(err)
					}
					return
				}
				pass(stall)
			}
		})
	}
	return func() {
		rings[0].Stop()
		readers.Wait()
	}
}

// pass waits for the end of a stall.
func pass(stall *sync.RWMutex) {
	stall.RLock()
	defer stall.RUnlock()
}

// read says whether nothing waits for a reader.
func (g *group) read() bool {
	for _, r := range g.rings {
		if r.behind() || !r.queue.empty() {
			return false
		}
	}
	return true
}

// A spare ring that became full takes what finds no room the next time as well. Afterwards the
// rings are as before.
func TestSpareServesAgain(t *testing.T) {
	for _, n := range []int{1, 2} {
		rings, fd, frame := sparingGroup(t, n)
		g := rings[0].group
		var stall sync.RWMutex
		end := stalling(t, rings, &stall)
		var sent uint64
		for range 3 {
			stall.Lock()
			until(t, "the spare ring is full", func() bool {
				send(t, fd, frame)
				sent++
				time.Sleep(3 * time.Millisecond) // longer than a block is open
				return g.spare.low()
			})
			send(t, fd, frame) // which finds it so
			sent++
			stall.Unlock()
			until(t, "everything is read", g.read)
		}
		var s source.Stats
		for _, r := range rings {
			s.Add(r.Stats())
		}
		if s.Packets != sent || s.Frames+s.Drops != sent || s.Waiting != 0 {
			t.Errorf("%d rings: %d sent, %+v", n, sent, s)
		}
		end()
	}
}

// What is in the spare ring is read though nothing comes any more.
func TestSpareIsReadInSilence(t *testing.T) {
	rings, fd, frame := sparingGroup(t, 2)
	var stall sync.RWMutex
	end := stalling(t, rings, &stall)
	stall.Lock()
	overflow(t, rings[1], fd, func(int) []byte { return frame }, 3)
	stall.Unlock()
	until(t, "everything is read", rings[0].group.read)
	end()
}

// A ring that nobody reads any more does not keep the others from their end.
func TestSpareOfAClosedRing(t *testing.T) {
	rings, fd, frame := sparingGroup(t, 2)
	overflow(t, rings[1], fd, func(int) []byte { return frame }, 3)
	for range 4 { // so that there is room
		_, err := rings[1].Next()
		must(t, err)
	}
	send(t, fd, frame) // which is newer than those in the spare ring
	must(t, rings[0].Close())
	within(t, theEnd(t, rings[1]))
}

// A stall that begins while the spare ring is being read has both rings.
func TestSpareTakesMoreWhileItIsRead(t *testing.T) {
	cfg := sparing
	cfg.SpareBytes = 24 * cfg.BlockBytes // a block for each packet, on a machine that is slow to send them
	cfg.RingBytes = cfg.SpareBytes + 8*cfg.BlockBytes
	rings, fd, frame := groupOf(t, cfg, 1)
	r := rings[0]
	all := overflow(t, r, fd, func(int) []byte { return frame }, 8)
	read := 0
	for r.from != r.group.spare {
		frames, err := r.Next()
		must(t, err)
		read += len(frames)
	}
	for range 12 { // more than the ring has blocks
		send(t, fd, frame)
		time.Sleep(3 * time.Millisecond)
	}
	r.Stop()
	read += len(drainAll(t, r))
	if s := r.Stats(); read != all+12 || s.Drops != 0 {
		t.Errorf("%d of %d were read, %+v", read, all+12, s)
	}
}
