package bridge

import (
	"io"
	"net"
	"testing"
	"time"
)

// Nothing tells that a target's host is gone while small requests go there: they fit the socket.
func TestTargetWhoseHostVanishes(t *testing.T) {
	const limit = 300 * time.Millisecond
	for _, secure := range []bool{false, true} {
		for _, goesOn := range []bool{false, true} {
			h, s, c := vanishing(t, secure, Config{WriteTimeout: limit})
			deafen(t, c)
			gone := time.Now()
			sent := s.keepSending(goesOn)
			want(t, "outcome", s.outcome(t), "target-slow")
			if took := time.Since(gone); took < limit*3/4 {
				t.Errorf("given up after %v, want %v at the least", took, limit)
			}
			sent()
			eventually(t, "the account", func() bool { return h.Stats().Open == 0 })
			st := h.Stats()
			want(t, "bytes that the target has", st.BytesWritten-st.BytesUnacked, uint64(len("first")))
		}
	}
}

// A program on this host may be busy for long with the request before.
func TestUnixTargetThatReadsARequestLate(t *testing.T) {
	const limit = 100 * time.Millisecond
	g, h := serveUnix(t, Config{WriteTimeout: limit})
	s := h.open(t, []byte("request"))
	c := g.accept(t)
	time.Sleep(3 * limit) // which is what this is about
	s.end(io.EOF)
	expect(t, c, []byte("request"), nil)
	c.Close()
	want(t, "outcome", s.outcome(t), "complete")
}

// vanishing is a stream whose target has taken a request, and that target's connection.
func vanishing(t *testing.T, secure bool, c Config) (h *harness, s *script, conn *net.TCPConn) {
	t.Helper()
	if secure {
		g := newSecure(t)
		h = g.serve(t, c)
		s = h.open(t, []byte("first"))
		conn := g.accept(t)
		readAll(t, conn, len("first"))
		return h, s, raw(conn)
	}
	g := newTarget(t)
	c.Target = g.addr()
	h = serve(t, c)
	s, conn = h.served(t, g)
	return h, s, conn
}

// keepSending sends a request, or requests of several lengths until the returned function is
// called.
func (s *script) keepSending(goesOn bool) (stop func()) {
	if !goesOn {
		s.send([]byte("request"))
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			s.send(random(1 + 37*n%100))
			select {
			case <-end:
				return
			case <-tick.C:
			}
		}
	}()
	return func() { close(end); <-ended }
}

// watched is a connection that takes everything and has so much of it unacknowledged.
type watched struct {
	targetConn
	left, asked, kept int
}

func (c *watched) write(p []byte, _ bool) (int, error) { c.left += len(p); return len(p), nil }
func (c *watched) unacked() (int, error)               { c.asked++; return c.left, nil }
func (c *watched) saidFIN() bool                       { return false }
func (c *watched) keepAlive()                          { c.kept++ }
func (c *watched) reset()                              {}
func (c *watched) confirm()                            {}

// An open stream costs one question in WriteTimeout, and none while all is known to have arrived.
func TestLooksForAcknowledgementsWhileAStreamIsOpen(t *testing.T) {
	const limit, request = 10 * time.Second, "request"
	type step struct {
		at    time.Duration // since the connection was made
		sends bool
		acked int           // by then, since the step before
		asked int           // in all
		due   time.Duration // the next look; 0: none
		end   string
	}
	for name, steps := range map[string][]step{
		"a request that arrives": {
			{at: time.Second, sends: true, due: 11 * time.Second},
			{at: 11 * time.Second, acked: 7, asked: 1, due: 15 * time.Second},
			{at: 15 * time.Second, asked: 1},
			{at: 20 * time.Second, sends: true, asked: 1, due: 30 * time.Second},
			{at: 25 * time.Second, sends: true, asked: 1, due: 30 * time.Second},
			{at: 30 * time.Second, acked: 14, asked: 2},
		},
		"a request that does not": {
			{at: 20 * time.Second, sends: true, due: 30 * time.Second},
			{at: 30 * time.Second, asked: 2, end: "target-slow"}, // once for the account
		},
		"one that does not behind one that does": {
			{at: 20 * time.Second, sends: true, due: 30 * time.Second},
			{at: 29 * time.Second, acked: 7, sends: true, due: 30 * time.Second},
			{at: 30 * time.Second, asked: 1, due: 40 * time.Second},
			{at: 40 * time.Second, asked: 3, end: "target-slow"},
		},
		"a target that takes a byte now and then": {
			{at: 20 * time.Second, sends: true, due: 30 * time.Second},
			{at: 30 * time.Second, acked: 1, asked: 1, due: 40 * time.Second},
			{at: 40 * time.Second, acked: 1, sends: true, asked: 2, due: 50 * time.Second},
			{at: 50 * time.Second, acked: 1, sends: true, asked: 3, due: 60 * time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, b := idleLoop(t, Config{Target: "127.0.0.1:80", WriteTimeout: limit})
			in := newScript()
			s := newStream(l, b, in)
			s.takePlace()
			out := &watched{}
			s.connected(out)
			l.step()
			for _, step := range steps {
				l.now = int64(step.at)
				out.left -= step.acked
				l.expire()
				if step.sends {
					in.send([]byte(request))
					l.schedule(s)
					l.step()
				}
				want(t, "questions", out.asked, step.asked)
				if step.end != "" {
					want(t, "outcome", in.outcome(t), step.end)
					continue
				}
				due := time.Duration(0)
				if s.timer != noTimer {
					due = time.Duration(s.due)
				}
				want(t, "the next look behind "+step.at.String(), due, step.due)
			}
		})
	}
}
