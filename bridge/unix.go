package bridge

import (
	"golang.org/x/sys/unix"

	"netmirror/sleeper"
)

// unixConn is a targetConn on a unix socket (unix(7)). What the target's program has
// read is acknowledged; the kernel counts it by buffers, and not by bytes.
//
// Such a socket has no reset. What comes nearest is that the other side reads
// ECONNRESET, behind all bytes, where this side closes with something unread. So the
// last byte of the answers is left unread, and is read before a close in order. Before
// the first answer there is nothing to tell the two apart by.
type unixConn struct {
	*tcpConn
	s        *stream
	kept     bool  // that byte is there, and was counted
	finished bool  // closeWrite was called
	broken   error // of the socket, which tells it once
}

// unacked asks SIOCOUTQ. A target that closes throws away what it did not read; the
// socket has an error by then.
func (u *unixConn) unacked() (int, error) {
	n, err := sleeper.RawQueue(u.fd, unix.SIOCOUTQ)
	if n == 0 && err == nil {
		err = u.failure()
	}
	return n, err
}

// failure is the socket's error so far.
func (u *unixConn) failure() error {
	if u.broken == nil {
		u.broken = u.pending()
	}
	return u.broken
}

// waste takes answers, which nobody reads.
var waste [64 << 10]byte

func (u *unixConn) discard() (n int, more bool, err error) {
	queued, err := sleeper.RawQueue(u.fd, unix.SIOCINQ)
	if err != nil || queued == 0 {
		return 0, false, err
	}
	n = queued
	if u.kept {
		n--
	}
	u.kept = true
	left := u.take(queued - 1)
	return n - left, left > 0, nil
}

// take reads n answered bytes, as many as waste takes at the most, and returns how many
// are left.
func (u *unixConn) take(n int) (left int) {
	if n == 0 {
		return 0
	}
	got, err := sleeper.RawReceive(u.fd, waste[:min(n, len(waste))], unix.MSG_DONTWAIT)
	if err != nil || got == 0 {
		return 0 // the poller tells of more
	}
	return n - got
}

// over asks poll(2): the socket hangs up when both sides have shut down. A close of the
// target's shuts both down; where it had read everything, that is only its end until
// this side comes to its own.
func (u *unixConn) over() (over bool, cause error) {
	if !sleeper.RawReady(u.fd, unix.POLLHUP) {
		return false, nil
	}
	cause = u.failure()
	return u.finished || cause != nil, cause
}

// closeWrite tells what the poller has told before, where the target has closed.
func (u *unixConn) closeWrite() error {
	u.finished = true
	if sleeper.RawReady(u.fd, unix.POLLHUP) {
		u.s.tell(evOver)
	}
	return u.tcpConn.closeWrite()
}

func (u *unixConn) confirm()   {}
func (u *unixConn) keepAlive() {} // the host is this one

func (u *unixConn) close() {
	if u.kept {
		_, _ = sleeper.RawReceive(u.fd, waste[:], unix.MSG_DONTWAIT)
	}
	u.tcpConn.close()
}

func (u *unixConn) reset() { u.tcpConn.close() }
