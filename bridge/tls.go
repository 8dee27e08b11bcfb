package bridge

import (
	"cmp"
	"crypto/tls"
	"errors"
	"io"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"netmirror/sleeper"
	"netmirror/target"
)

// tlsConn is a targetConn of TLS. Two goroutines do what may wait: one encrypts the
// pieces that the loop leaves there, one after another, and one discards answers. They
// end when the connection below is closed.
//
// A reset closes that connection without a close_notify, so that the target can tell
// that the stream was cut off (RFC 8446, section 6.1).
//
// Behind the target's end there is no close_notify either, unless the target has taken bytes
// there: most have closed their side for good, and answer every byte with a RST.
type tlsConn struct {
	*tcpConn // below; the poller tells of its end only
	tls      *tls.Conn
	tell     func(events) // the loop

	work    chan piece // closed: no more will come
	closed  bool       // it is
	last    int        // bytes of the last piece
	open    int        // bytes written since nothing was left unacknowledged
	readsOn bool       // the target takes bytes behind its end
	bare    bool       // no close_notify goes before the FIN; set before work is closed

	queued   atomic.Int64  // bytes that the connection below has not taken; an end is one
	wanted   atomic.Bool   // the loop waits for queued to be 0
	answered atomic.Int64  // bytes discarded that the loop does not know of
	heardEnd atomic.Bool   // of the answers
	pending  atomic.Bool   // the target may still refuse our certificate
	drained  chan struct{} // closed when the answers have ended, one way or another
	failure  atomic.Pointer[error]
}

// startTLS begins to play s on conn, below which is its tcp. pending is what
// [target.Target.Handshake] says.
func startTLS(s *stream, conn *tls.Conn, pending bool) *tlsConn {
	t := &tlsConn{tcpConn: &s.tcp, tls: conn, tell: s.tell, work: make(chan piece, 1), drained: make(chan struct{})}
	t.pending.Store(pending)
	s.l.wg.Go(t.encrypt)
	s.l.wg.Go(t.drain)
	return t
}

func (t *tlsConn) write(p []byte, _ bool) (int, error) {
	if err := t.failed(); err != nil {
		return 0, err
	}
	t.wanted.Store(true) // before it is looked at, so that it is told if it changes
	if t.queued.Load() > 0 {
		return 0, nil
	}
	if t.open > 0 {
		if _, err := t.unacked(); err != nil {
			return 0, err
		}
	}
	next := newPiece(p)
	t.last = len(next.bytes)
	t.open += t.last
	t.readsOn = t.heardEnd.Load()
	t.wanted.Store(t.last < len(p))
	t.queued.Store(int64(t.last))
	t.work <- next // there is room: all before it is done
	return t.last, nil
}

// encrypt writes what comes, and the end behind it.
func (t *tlsConn) encrypt() {
	for p := range t.work {
		_, err := t.tls.Write(p.bytes)
		p.release()
		if err != nil {
			t.writeFailed(err)
			return
		}
		t.queued.Store(0)
		if t.wanted.Swap(false) {
			t.tell(evRoom)
		}
	}
	if err := t.finish(); err != nil {
		t.writeFailed(err)
		return
	}
	t.queued.Store(0)
	t.tell(evOver) // the target's end may have been heard before
}

// finish sends close_notify and FIN.
func (t *tlsConn) finish() error {
	if t.bare {
		return t.conn.CloseWrite()
	}
	raw, err := t.conn.SyscallConn()
	if err == nil {
		// CloseWrite waits for room, but for five seconds only.
		err = raw.Write(func(fd uintptr) bool { return sleeper.RawReady(int(fd), unix.POLLOUT|unix.POLLHUP|unix.POLLERR) })
	}
	if err == nil {
		err = t.tls.CloseWrite()
	}
	if err == nil {
		err = t.conn.CloseWrite()
	}
	return err
}

// writeFailed is fail for what cannot be written. Where the target may have refused the
// connection, that has come before: it is read first.
func (t *tlsConn) writeFailed(err error) {
	if t.pending.Load() {
		_ = t.conn.CloseRead() // what has come can still be read (shutdown(2))
		<-t.drained
	}
	t.fail(err)
}

// drain discards answers to their end, which may be a FIN alone: nobody looks at them.
func (t *tlsConn) drain() {
	defer close(t.drained)
	buf := make([]byte, 2<<10)
	for untold := 0; ; {
		n, err := t.tls.Read(buf)
		t.answered.Add(int64(n))
		if n > 0 && t.pending.Load() {
			t.pending.Store(false)
			t.tell(evAnswer)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			t.heardEnd.Store(true)
			t.tell(evAnswer | evFIN | evOver)
			return
		case err != nil:
			if t.pending.Load() && target.IsAlert(err) {
				err = &refusal{target.TLSError(err)}
			}
			t.fail(err)
			return
		}
		if untold += n; untold >= answerBatch {
			untold = 0
			t.tell(evAnswer)
		}
	}
}

// fail says that the connection can be used no more.
func (t *tlsConn) fail(err error) {
	t.failure.CompareAndSwap(nil, &err)
	t.tell(evAnswer | evRoom | evOver)
}

// refusal is why the target has refused a connection whose handshake had ended for us.
type refusal struct{ error }

func (r *refusal) Unwrap() error { return r.error }

func (t *tlsConn) failed() error {
	if err := t.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// unacked counts what TLS adds too, as far as it is in the socket.
func (t *tlsConn) unacked() (int, error) {
	queued := int(t.queued.Load()) // first: from there bytes go to the connection below
	below, err := t.tcpConn.unacked()
	if err != nil {
		return 0, err
	}
	if queued+below == 0 {
		t.open = 0
	}
	return queued + below, nil
}

// acked is how much the target has acknowledged of what the connection below has taken.
func (t *tlsConn) acked() (n int64, err error) {
	raw, err := t.conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var info *unix.TCPInfo
	control := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err = cmp.Or(control, err); err != nil {
		return 0, err
	}
	return int64(info.Bytes_acked), nil
}

// unread is how many of the bytes written the target cannot have read, where so many are not
// acknowledged. It counts the whole last piece: of a record whose end has not come, the target
// can read nothing.
func (t *tlsConn) unread(unacked int) int {
	if unacked == 0 {
		return 0
	}
	return min(unacked+t.last, t.open)
}

func (t *tlsConn) discard() (n int, more bool, err error) {
	return int(t.answered.Swap(0)), false, t.failed()
}

// over reports an orderly end of the connection below only when both goroutines have ended
// without an error, because they may have taken an error off the socket. While one of them
// has not reported its end, over returns false.
func (t *tlsConn) over() (over bool, cause error) {
	if err := t.failed(); err != nil {
		return true, err
	}
	if t.pending.Load() && !t.heardEnd.Load() {
		return false, nil // drain reads why
	}
	over, cause = t.tcpConn.over()
	if cause == nil && (!t.heardEnd.Load() || t.answered.Load() > 0 || t.queued.Load() > 0) {
		return false, nil
	}
	return over, cause
}

func (t *tlsConn) closeWrite() error {
	if _, err := t.unacked(); err != nil { // without the end
		return err
	}
	t.bare = t.heardEnd.Load() && !t.readsOn
	t.queued.Add(1)
	t.endWork()
	return t.failed()
}

func (t *tlsConn) endWork() {
	if !t.closed {
		t.closed = true
		close(t.work)
	}
}

// close and reset stop the goroutines: first the connection, so that nothing follows.
func (t *tlsConn) close() {
	t.tcpConn.close()
	t.endWork()
}

func (t *tlsConn) reset() {
	t.tcpConn.reset()
	t.endWork()
}
