package tap

import (
	"errors"
	"io"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"netmirror/link"
)

// result is what one call of Next gave.
type result struct {
	frames int
	err    error
}

// reading calls Next until it fails, in a goroutine.
func reading(r *Ring) <-chan result {
	c := make(chan result, 1000)
	go func() {
		for {
			frames, err := r.Next()
			c <- result{len(frames), err}
			if err != nil {
				return
			}
		}
	}()
	return c
}

// theEnd reads all and gives the error behind it.
func theEnd(t testing.TB, r *Ring) <-chan error {
	c, over := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(over)
		for {
			if _, err := r.Next(); err != nil {
				c <- err
				return
			}
		}
	}()
	t.Cleanup(func() { // before Close
		r.Stop()
		<-over
	})
	return c
}

// setLink brings the capture's interface up or down.
func (l *lab) setLink(t testing.TB, change func(netlink.Link) error) {
	t.Helper()
	in(t, l.mon, func() {
		link, err := netlink.LinkByName(monIface)
		must(t, err)
		must(t, change(link))
	})
}

// wentDown waits until the capture has seen the interface go down n times.
func wentDown(t *testing.T, r *Ring, n uint64) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); r.Stats().LinkDowns < n; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d times down, want %d", r.Stats().LinkDowns, n)
		}
	}
}

// That the interface goes down is noticed also where the socket's events were not
// listened for just then, as blocks come closely.
func TestInterfaceDownUnderLoad(t *testing.T) {
	l := newLab(t, 1500)
	r, fd := l.open(t, Config{}), l.sender(t)
	stop := sending(t, fd, mirrored(t, make([]byte, 100)), 200*time.Microsecond)
	reader := theEnd(t, r)
	for n := range uint64(3) {
		before := r.Stats().Frames
		for s := r.Stats(); s.Frames < before+100 || len(s.Down) > 0; s = r.Stats() {
			runtime.Gosched()
		}
		l.setLink(t, netlink.LinkSetDown)
		wentDown(t, r, n+1)
		l.setLink(t, netlink.LinkSetUp)
	}
	stop()
	r.Stop()
	if err := within(t, reader); err != io.EOF {
		t.Errorf("Next: %v", err)
	}
}

func TestInterfaceDownAndUp(t *testing.T) {
	l := newLab(t, 1500)
	r, fd := l.open(t, Config{}), l.sender(t)
	got := reading(r)
	for n := range uint64(2) {
		l.setLink(t, netlink.LinkSetDown)
		wentDown(t, r, n+1)
		l.setLink(t, netlink.LinkSetUp)
		// The peer's queue opens some time after the carrier is back.
		again := time.NewTicker(10 * time.Millisecond)
		defer again.Stop()
		timeout := time.After(10 * time.Second)
		for arrived := false; !arrived; {
			select {
			case <-again.C:
				send(t, fd, mirrored(t, []byte("again")))
			case v := <-got:
				must(t, v.err)
				arrived = true
			case <-timeout:
				t.Fatal("no packet since the interface is up again")
			}
		}
	}
	r.Stop()
	for {
		if v := within(t, got); v.err != nil {
			if v.err != io.EOF {
				t.Error(v.err)
			}
			break
		}
	}
	if s := settled(t, r); s.LinkDowns != 2 {
		t.Errorf("%d times down, want 2", s.LinkDowns)
	}
}

// A carrier that is lost counts as the interface being down, and is told of while no packet wakes
// the reader. That the interface goes down as well is nothing new.
func TestCarrierLostAndBack(t *testing.T) {
	l := newLab(t, 1500)
	rings := l.openGroup(t, Config{}, 2)
	for _, r := range rings {
		theEnd(t, r)
	}
	peer := func(change func(netlink.Link) error) { in(t, l.peer, func() { must(t, change(l.peerLink)) }) }
	await := func(want []string, downs uint64) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
			s := rings[0].Stats()
			if slices.Equal(s.Down, want) && s.LinkDowns == downs {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("down are %v, %d times; want %v, %d", s.Down, s.LinkDowns, want, downs)
			}
		}
	}
	await(nil, 0)
	peer(netlink.LinkSetDown)
	await([]string{monIface}, 1)
	peer(netlink.LinkSetUp)
	await(nil, 1)
	peer(netlink.LinkSetDown)
	await([]string{monIface}, 2)
	l.setLink(t, netlink.LinkSetDown)
	for !rings[0].linkDown.Load() {
		runtime.Gosched()
	}
	l.setLink(t, netlink.LinkSetUp)
	await([]string{monIface}, 2)
	peer(netlink.LinkSetUp)
	await(nil, 2)
}

func TestStopWhileDown(t *testing.T) {
	l := newLab(t, 1500)
	r := l.open(t, Config{})
	got := reading(r)
	l.setLink(t, netlink.LinkSetDown)
	wentDown(t, r, 1)
	r.Stop()
	if v := within(t, got); v.err != io.EOF {
		t.Fatalf("Next: %v", v.err)
	}
}

// What was captured before is handed out first, though its block is still open.
func TestInterfaceRemoved(t *testing.T) {
	for _, tc := range []struct {
		name   string
		remove func(*testing.T, *lab, *Ring)
	}{
		{"deleted", func(t *testing.T, l *lab, _ *Ring) { l.setLink(t, netlink.LinkDel) }},
		{"deleted when it was down", func(t *testing.T, l *lab, r *Ring) {
			l.setLink(t, netlink.LinkSetDown)
			wentDown(t, r, 1)
			l.setLink(t, netlink.LinkDel)
		}},
		{"moved to another namespace", func(t *testing.T, l *lab, _ *Ring) {
			l.setLink(t, func(link netlink.Link) error { return netlink.LinkSetNsFd(link, int(l.peer)) })
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t, 1500)
			r, fd := l.open(t, Config{BlockTimeout: 500 * time.Millisecond}), l.sender(t)
			send(t, fd, mirrored(t, []byte("one")), mirrored(t, []byte("two")))
			captured(t, r, 2)
			got := reading(r)
			tc.remove(t, l, r)
			if v := within(t, got); v.err != nil || v.frames != 2 {
				t.Fatalf("%d frames, %v; want the 2 captured before", v.frames, v.err)
			}
			if v := within(t, got); !errors.Is(v.err, link.ErrGone) {
				t.Fatalf("Next: %v", v.err)
			}
			settled(t, r)
		})
	}
}
