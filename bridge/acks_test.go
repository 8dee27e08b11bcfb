package bridge

import (
	"testing"

	"golang.org/x/sys/unix"
)

// breaks is a connection that takes one piece and then has an error.
type breaks struct {
	targetConn
	wrote bool
}

func (c *breaks) write(p []byte, _ bool) (int, error) {
	c.wrote = true
	return len(p), nil
}

func (c *breaks) unacked() (int, error) {
	if c.wrote {
		return 0, unix.ECONNRESET
	}
	return 0, nil
}

func (c *breaks) reset() {}

// Which of the two the loop hears of first, the reset or the time to ask for acknowledgements,
// makes no difference to a probe.
func TestProbeIsGivenBackWhereTheResetIsFoundByAsking(t *testing.T) {
	l, b := idleLoop(t, Config{Target: "127.0.0.1:80"})
	in := newScript()
	in.send([]byte("request"))
	s := newStream(l, b, in)
	s.takePlace()
	s.enter(copying)
	s.out, s.targetFIN = &breaks{}, true
	s.copy()
	want(t, "outcome", in.outcome(t), "target-closed")
	want(t, "what was given back", string(in.rest()), "request")
	want(t, "BytesUnsent", b.Stats().BytesUnsent, uint64(0))
}

// A probe of which the kernel takes nothing, for want of memory, proves nothing: it is sent again.
func TestProbeThatTheKernelDoesNotTake(t *testing.T) {
	l, b := idleLoop(t, Config{Target: "127.0.0.1:80"})
	in, out := newScript(), &fullSocket{}
	in.send([]byte("request"))
	s := newStream(l, b, in)
	s.takePlace()
	s.enter(copying)
	s.out, s.targetFIN = out, true
	s.copy()
	if s.proven || s.phase != blocked {
		t.Errorf("the target is proven to read on: %v; phase %d, want %d", s.proven, s.phase, blocked)
	}
	want(t, "what was given back", string(in.rest()), "request")
	out.room = 100
	s.event(evRoom)
	l.step()
	want(t, "phase", s.phase, probing)
	want(t, "probe", string(s.probe), "request")
	out.queued = 0
	s.lookForAcks()
	want(t, "proven", s.proven, true)
}

// idleLoop is a loop that nothing runs, and a bridge of its streams.
func idleLoop(t *testing.T, c Config) (*loop, *Bridge) {
	t.Helper()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLoop(b.closed, b.close, newQueue(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.poll.close)
	return l, b
}
