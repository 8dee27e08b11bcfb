package bridge

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"netmirror/outcome"
	"netmirror/target"
)

// What a target did not acknowledge has not reached it, whatever the kernel took for it.
func TestUnacknowledgedBytes(t *testing.T) {
	for name, end := range map[string]string{
		"the target reads nothing": "target-slow", "the target reads all": "complete", "nothing behind a header": "target-slow",
	} {
		t.Run(name, func(t *testing.T) {
			g := newTarget(t)
			g.narrow(t)
			c := Config{Target: g.addr(), WriteTimeout: 200 * time.Millisecond}
			header := name == "nothing behind a header"
			if header {
				c.Options.Header = target.HeaderV1
			}
			h := serve(t, c)
			s := h.open(t, random(4<<20))
			s.end(io.EOF)
			conn := g.accept(t)
			got := int64(0)
			if end == "complete" {
				got, _ = io.Copy(io.Discard, conn)
				conn.Close()
			}
			want(t, "outcome", s.outcome(t), end)
			eventually(t, "rest", func() bool { return h.Stats().Open == 0 })
			if end != "complete" {
				got, _ = io.Copy(io.Discard, conn) // what its kernel has acknowledged
			}
			if header {
				got -= int64(len("PROXY TCP4 192.0.2.1 192.0.2.2 4321 80\r\n"))
			}
			st := h.Stats()
			want(t, "bytes that the target has", uint64(got), st.BytesWritten-st.BytesUnacked)
		})
	}
}

// What the socket counts besides the client's bytes is no loss of these.
func TestOnlyWrittenBytesAreUnacknowledged(t *testing.T) {
	c := Config{WriteTimeout: 200 * time.Millisecond}
	for name, play := range map[string]func(t *testing.T) (h *harness, s *script, took int){
		"a unix socket counts its buffers": func(t *testing.T) (*harness, *script, int) {
			g, h := serveUnix(t, c)
			s := h.open(t, []byte("request"))
			g.accept(t)
			return h, s, 0
		},
		"a header before them": func(t *testing.T) (*harness, *script, int) {
			g, c := newTarget(t), c
			d := keepDial{t: t, before: func(*net.TCPConn) { deafen(t, g.accept(t)) }}
			c.Target, c.Options.Header, c.Dial = g.addr(), target.HeaderV1, d.dial
			h := serve(t, c)
			return h, h.open(t, []byte("request")), 0
		},
		"a record of TLS": func(t *testing.T) (*harness, *script, int) {
			g := newSecure(t)
			h := g.serve(t, c)
			s := h.open(t)
			deafen(t, raw(g.accept(t)))
			s.send([]byte("request"))
			return h, s, 0
		},
		"a record behind others that arrived": func(t *testing.T) (*harness, *script, int) {
			g := newSecure(t)
			h := g.serve(t, c)
			s := h.open(t, random(1000))
			conn := g.accept(t)
			readAll(t, conn, 1000)
			deafen(t, raw(conn))
			s.send([]byte("request"))
			return h, s, 1000
		},
		"a probe that was given back": func(t *testing.T) (*harness, *script, int) {
			g := newSecure(t)
			h := g.serve(t, c)
			s := h.open(t, random(1000))
			conn := g.accept(t)
			readAll(t, conn, 1000)
			conn.CloseWrite()
			raw(conn).CloseWrite()
			h.closedFirst(t, 1)
			deafen(t, raw(conn))
			s.send([]byte("request"))
			return h, s, 1000
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, s, took := play(t)
			s.end(outcome.EndGap)
			want(t, "outcome", s.outcome(t), "target-slow")
			eventually(t, "rest", func() bool { return h.Stats().Open == 0 })
			st := h.Stats()
			want(t, "bytes that the target has", int64(st.BytesWritten)-int64(st.BytesUnacked), int64(took))
		})
	}
}

// readAll reads n bytes of a connection and answers, which acknowledges them.
func readAll(t *testing.T, c *tls.Conn, n int) {
	t.Helper()
	if _, err := io.ReadFull(c, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	d := keepDial{t: t, last: raw(c)}
	eventually(t, "the answer there", func() bool { return d.queued() == 0 })
}
