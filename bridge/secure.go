package bridge

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"time"

	"netmirror/target"
)

// secure has the TLS handshake made on a new connection, in a goroutine: it waits.
func (s *stream) secure() {
	s.l.timers.stop(s)
	left := time.Duration(s.dial.begun + int64(s.b.cfg.DialTimeout) - s.l.now)
	s.dial.step = elsewhere
	c, err := s.tcp.release()
	if err != nil {
		s.connectFailed(err)
		return
	}
	// Before the handshake: a header that the client's bytes begin with is inside.
	head := s.b.to.AppendHeader(nil, s.in.RemoteAddr(), s.in.LocalAddr())
	s.l.goPost(func() func() {
		ctx, cancel := context.WithTimeout(s.l.ctx, left)
		defer cancel()
		conn, pending, err := shakeHands(ctx, c, head, s.b.to)
		return func() { s.secured(c, conn, pending, err) }
	})
}

// secured goes on with what became of a handshake.
func (s *stream) secured(c *net.TCPConn, conn *tls.Conn, pending bool, err error) {
	switch {
	case s.phase == ended:
		c.Close()
	case err != nil:
		s.connectFailed(err)
	case s.adopt(c, 0):
		s.pending = pending
		s.connected(startTLS(s, conn, pending))
	}
}

// shakeHands makes a connection to the target one of TLS, behind head, as
// [target.Target.Handshake] does. It closes c where that fails.
func shakeHands(ctx context.Context, c *net.TCPConn, head []byte, to *target.Target) (conn *tls.Conn, pending bool, err error) {
	if _, err = c.Write(head); err != nil { // for which a new socket has room
		err = target.TLSError(err)
	} else {
		conn, pending, err = to.Handshake(ctx, c)
	}
	if err != nil {
		c.Close()
	}
	return conn, pending, err
}

// release gives the connection to net, which takes a descriptor of its own. It is
// closed here, whatever comes of that.
func (t *tcpConn) release() (*net.TCPConn, error) {
	if t.poll != nil {
		t.poll.forget(t.slot, t.fd)
	}
	f := os.NewFile(uintptr(t.fd), "tcp")
	*t = tcpConn{}
	c, err := net.FileConn(f)
	f.Close()
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}
