package bridge

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"netmirror/outcome"
	"netmirror/target"
	"netmirror/target/targettest"
)

// secure is a shadow service of TLS.
type secureShadow struct {
	shadow
	config *tls.Config
	ca     string
}

func newSecure(t *testing.T) secureShadow {
	t.Helper()
	ca := targettest.NewAuthority(t)
	return secureShadow{newTarget(t), &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "127.0.0.1")}}, ca.File(t)}
}

func (g secureShadow) serve(t *testing.T, c Config) *harness {
	t.Helper()
	c.Target, c.Options.TLS.CA = "tls://"+g.addr(), g.ca
	return serve(t, c)
}

// accept takes the next connection and its handshake.
func (g secureShadow) accept(t *testing.T) *tls.Conn {
	t.Helper()
	c := tls.Server(g.shadow.accept(t), g.config)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

// raw is the connection below.
func raw(c *tls.Conn) *net.TCPConn { return c.NetConn().(*net.TCPConn) }

func TestTLSTargetGetsTheStreamAndItsEnd(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, size := range []int{1, 1460, bufferSize, bufferSize + 1, 4 << 20} {
			g := newSecure(t)
			g.config.MaxVersion = version
			h := g.serve(t, Config{})
			data := random(max(min(size*1000, 4<<20), size))
			s := h.open(t, split(data, size)...)
			s.end(io.EOF)
			c := g.accept(t)
			// crypto/tls tells a FIN without close_notify as io.ErrUnexpectedEOF.
			expect(t, c, data, nil)
			if n, err := raw(c).Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("behind close_notify: %d bytes, %v, want a FIN", n, err)
			}
			if _, err := c.Write([]byte("an answer")); err != nil {
				t.Error(err)
			}
			c.Close()
			want(t, "outcome", s.outcome(t), "complete")
			want(t, "BytesWritten", h.Stats().BytesWritten, uint64(len(data)))
			want(t, "BytesDiscarded", h.Stats().BytesDiscarded, uint64(9))
		}
	}
}

func TestTLSTargetSeesThatAStreamWasCutOff(t *testing.T) {
	for _, e := range []outcome.End{outcome.EndClientReset, outcome.EndGap} {
		g := newSecure(t)
		h := g.serve(t, Config{})
		data := random(300_000)
		s := h.open(t, split(data, 10_001)...)
		s.end(e)
		expect(t, g.accept(t), data, errReset) // all bytes, and no close_notify
		want(t, "outcome", s.outcome(t), e.String())
	}
}

func TestTLSTargetThatResetsItsConnection(t *testing.T) {
	for _, row := range []struct {
		name string
		end  error // the client's, before
	}{{"while the client goes on", nil}, {"behind the client's FIN", io.EOF}} {
		g := newSecure(t)
		h := g.serve(t, Config{})
		s := h.open(t, []byte("request"))
		s.end(row.end)
		c := g.accept(t)
		if _, err := io.ReadFull(c, make([]byte, 7)); err != nil {
			t.Fatal(err)
		}
		if row.end != nil {
			expect(t, c, nil, nil)
		}
		rst(raw(c))
		want(t, row.name, s.outcome(t), "target-closed")
	}
}

func TestRequestBehindAClosedTLSTargetIsGivenBack(t *testing.T) {
	g := newSecure(t)
	h := g.serve(t, Config{})
	s := h.open(t, []byte("first"))
	c := g.accept(t)
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	h.closedFirst(t, 1)
	request := random(400)
	s.send(request)
	want(t, "outcome", s.outcome(t), "target-closed")
	if !bytes.Equal(s.rest(), request) {
		t.Errorf("%d bytes given back, other than the %d sent", len(s.rest()), len(request))
	}
	want(t, "BytesWritten", h.Stats().BytesWritten, uint64(5))
}

// All that such a target was to have has reached it, as with plain TCP.
func TestTLSTargetThatClosesFirst(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		g := newSecure(t)
		g.config.MaxVersion = version
		h := g.serve(t, Config{})
		s := h.open(t, []byte("request"))
		c := g.accept(t)
		if _, err := io.ReadFull(c, make([]byte, 7)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		c.Close()
		h.closedFirst(t, 1)
		s.end(io.EOF)
		want(t, "outcome", s.outcome(t), "complete")
		want(t, "BytesUnacked", h.Stats().BytesUnacked, uint64(0))
	}
}

// A target that reads on behind its own end can tell the client's from a truncation.
func TestHalfClosedTLSTargetGetsCloseNotify(t *testing.T) {
	g := newSecure(t)
	g.config.MaxVersion = tls.VersionTLS12 // in which the type of a record is not encrypted
	h := g.serve(t, Config{})
	s := h.open(t)
	var wire bytes.Buffer
	c := tls.Server(tapped{g.shadow.accept(t), &wire}, g.config)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	c.CloseWrite()
	c.NetConn().(tapped).CloseWrite()
	h.closedFirst(t, 1)
	data := random(100_000)
	s.send(split(data, 5000)...)
	s.end(io.EOF)
	expect(t, c, data, nil)
	c.Close()
	want(t, "outcome", s.outcome(t), "complete")
	var last byte
	for wire.Len() > 0 { // a header, which ends with the length of the rest (RFC 5246, section 6.2.1)
		head := wire.Next(5)
		last = head[0]
		wire.Next(int(head[3])<<8 | int(head[4]))
	}
	want(t, "the type of the last record", last, byte(21)) // an alert
}

// tapped keeps what is read.
type tapped struct {
	*net.TCPConn
	to io.Writer
}

func (c tapped) Read(p []byte) (int, error) { return io.TeeReader(c.TCPConn, c.to).Read(p) }

func TestTLSTargetThatTakesNothing(t *testing.T) {
	g := newSecure(t)
	h := g.serve(t, Config{WriteTimeout: 300 * time.Millisecond})
	slow := h.open(t, random(16<<20))
	held := g.accept(t)
	want(t, "outcome of the one that takes nothing", slow.outcome(t), "target-slow")
	data := random(100_000)
	s := h.open(t, data)
	s.end(io.EOF)
	c := g.accept(t)
	expect(t, c, data, nil)
	c.Close()
	want(t, "outcome of another", s.outcome(t), "complete")
	if _, err := io.Copy(io.Discard, held); !errors.Is(err, errReset) {
		t.Errorf("the one that took nothing read %v at the end, want a reset", err)
	}
}

func TestSlowTLSTargetGetsEverything(t *testing.T) {
	g := newSecure(t)
	g.narrow(t)
	h := g.serve(t, Config{})
	data := random(8 << 20)
	s := h.open(t, split(data, bufferSize)...)
	s.end(io.EOF)
	c := g.accept(t)
	h.still(t) // the sockets are full
	expect(t, c, data, nil)
	c.Close()
	want(t, "outcome", s.outcome(t), "complete")
}

func TestTLSHandshakeThatFails(t *testing.T) {
	g := newSecure(t)
	other := newSecure(t)
	h := serve(t, Config{Target: "tls://" + g.addr(), Options: target.Options{TLS: target.TLSOptions{CA: other.ca}}, Retries: -1})
	s := h.open(t, []byte("secret"))
	c := tls.Server(g.shadow.accept(t), g.config)
	if err := c.Handshake(); err == nil {
		t.Error("the target shook hands with one that does not trust it")
	}
	c.Close()
	want(t, "outcome", s.outcome(t), "target-refused")
	want(t, "BytesWritten", h.Stats().BytesWritten, uint64(0))
	var wrong *tls.CertificateVerificationError
	if err := h.Health().Err; !errors.As(err, &wrong) {
		t.Errorf("health has %v", err)
	}
}

// In TLS 1.3 a target refuses a certificate when the handshake is over for the client
// (RFC 8446, section 4.4.2.4). Such a stream ends as one whose handshake fails, however
// much of it was on its way.
func TestTLSTargetThatRefusesOurCertificate(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, size := range []int{0, 100, 4 << 20} {
			g := newSecure(t)
			g.config.MaxVersion, g.config.ClientAuth = version, tls.RequireAnyClientCert
			var log lines
			h := g.serve(t, Config{Retries: -1, Logger: slog.New(&log)})
			s := h.open(t)
			if size > 0 {
				s.send(split(random(size), bufferSize)...)
			}
			c := tls.Server(g.shadow.accept(t), g.config)
			if err := c.Handshake(); err == nil {
				t.Error("the target took a client without a certificate")
			}
			c.Close()
			want(t, "outcome", s.outcome(t), "target-refused")
			n := h.Stats()
			want(t, "bytes that arrived", n.BytesWritten-n.BytesUnacked, uint64(0))
			why := h.Health()
			if why.Answers || !target.IsAlert(why.Err) || !strings.Contains(target.Remedy(why.Err), "--tls-cert") {
				t.Errorf("health is %+v, and to do is %q", why, target.Remedy(why.Err))
			}
			if got := log.all(); !slices.Equal(got, []string{"WARN target does not answer"}) {
				t.Errorf("logged %q", got)
			}
		}
	}
}

// What such a target has taken is known from its first answer on.
func TestTLSTargetThatTakesOurCertificate(t *testing.T) {
	g := newSecure(t)
	g.config.ClientAuth = tls.RequestClientCert
	h := g.serve(t, Config{})
	s := h.open(t, []byte("request"))
	c := g.accept(t)
	want(t, "tried before the first answer", h.Health().Tried, false)
	if _, err := c.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "health", func() bool { return h.Health().Answers })
	rst(raw(c))
	want(t, "outcome", s.outcome(t), "target-closed")
}

func TestTLSHandshakeThatTakesTooLong(t *testing.T) {
	g := newSecure(t)
	h := g.serve(t, Config{Retries: -1, DialTimeout: 100 * time.Millisecond})
	s := h.open(t, []byte("secret"))
	g.shadow.accept(t) // and says nothing
	want(t, "outcome", s.outcome(t), "target-refused")
	if err := h.Health().Err; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("health has %v", err)
	}
}

func TestShutdownDuringATLSHandshakeAndBehindIt(t *testing.T) {
	g := newSecure(t)
	h := g.serve(t, Config{})
	s := h.open(t, []byte("before"))
	c := g.accept(t)
	if _, err := io.ReadFull(c, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	waits := h.open(t)
	g.shadow.accept(t)
	h.cancel()
	want(t, "outcome", s.outcome(t), "shutdown")
	want(t, "outcome during the handshake", waits.outcome(t), "shutdown")
	expect(t, c, nil, errReset)
}

func TestCheckOfATLSTarget(t *testing.T) {
	g := newSecure(t)
	h := g.serve(t, Config{})
	done := make(chan error, 1)
	go func() { done <- h.Check(t.Context()) }()
	expect(t, g.accept(t), nil, nil)
	if err := receive(t, done, "the check"); err != nil {
		t.Error(err)
	}
}
