package bridge

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// scratch gives discarding receives their length. The kernel never writes to it,
// so its pages are never backed by memory and all streams can share it.
var scratch [1 << 20]byte

// receiveDiscard takes up to len(scratch) bytes off fd's receive queue and
// throws them away uncopied: MSG_TRUNC on a TCP socket, tcp(7). n is 0 at the
// FIN; unix.EAGAIN means that nothing is there.
func receiveDiscard(fd uintptr) (n int, err error) {
	for {
		n, err = rawReceive(fd, scratch[:], unix.MSG_TRUNC|unix.MSG_DONTWAIT)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// wakeAt has a waiting receive of raw's socket wait for n bytes, a FIN or a RST
// (SO_RCVLOWAT, socket(7)). What was there already wakes it anew.
func wakeAt(raw syscall.RawConn, n int) {
	// Only wake-ups depend on it, and a closed socket has no more of them.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, n)
	})
}

// tcpClose is TCP_CLOSE of the kernel's include/net/tcp_states.h.
const tcpClose = 7

// closed reports whether fd's connection is over in both directions. cause is nil
// where it ended in order, each side's FIN acknowledged, and the socket's
// pending error (SO_ERROR, which this clears) where it was cut off. A socket at
// the peer's FIN keeps on reading as EOF when a RST follows; only this tells.
func closed(fd uintptr) (over bool, cause error) {
	info, err := unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO)
	if err != nil {
		return true, err
	}
	if info.State != tcpClose {
		return false, nil
	}
	errno, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return true, err
	}
	if errno != 0 {
		return true, unix.Errno(errno)
	}
	return true, nil
}

// attempt writes to a socket as much as it takes without waiting. It is not safe
// for concurrent use.
type attempt struct {
	raw  syscall.RawConn
	call func(fd uintptr) // kept, so that a write allocates nothing
	look func(fd uintptr) // likewise
	fin  bool             // what look saw
	p    []byte           // of the write that runs, like n and err
	n    int
	err  error
}

func (a *attempt) init(raw syscall.RawConn) {
	a.raw = raw
	a.call = func(fd uintptr) { a.n, a.err = writeSome(fd, a.p) }
	a.look = func(fd uintptr) { a.fin = ready(fd, unix.POLLRDHUP) }
}

// peerClosed reports whether the peer's FIN has come. It is false where the
// socket is closed.
func (a *attempt) peerClosed() bool {
	a.fin = false
	return a.raw.Control(a.look) == nil && a.fin
}

// write returns how many bytes of p were taken. err is nil where the rest only
// found no room. Control, unlike a Write of raw, minds no deadline and resets
// nothing in the poller.
func (a *attempt) write(p []byte) (n int, err error) {
	a.p, a.n = p, 0
	err = a.raw.Control(a.call)
	a.p = nil
	if err != nil {
		return 0, err
	}
	return a.n, a.err
}

// writeSome relies on what net does for each of its sockets: they do not block.
func writeSome(fd uintptr, p []byte) (n int, err error) {
	for {
		n, err = rawWrite(fd, p)
		switch err {
		case nil:
			return n, nil
		case unix.EAGAIN:
			return 0, nil
		case unix.EINTR:
		default:
			return 0, err
		}
	}
}

// writable is for RawConn.Write: it reports whether a write would take something
// or fail. The poller hears of an edge only; where poll(2) finds no room it
// also asks the kernel for the edge to come (SOCK_NOSPACE), so none is missed.
func writable(fd uintptr) bool { return ready(fd, unix.POLLOUT) }

// ready asks poll(2) whether one of the events, or an error, is there.
func ready(fd uintptr, events int16) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		n, err := rawPoll(&fds[0])
		if err != unix.EINTR {
			return n > 0 || err != nil
		}
	}
}

// unacked is sendQueue of raw's socket. The error is that of a closed descriptor.
func unacked(raw syscall.RawConn) (n int, err error) {
	cerr := raw.Control(func(fd uintptr) { n, err = sendQueue(fd) })
	if cerr != nil {
		return 0, cerr
	}
	return n, err
}

// sendQueue is the number of bytes sent or waiting that the peer has not
// acknowledged (SIOCOUTQ, tcp(7)); a FIN counts as one. It stands still when a
// RST has thrown the queue away.
func sendQueue(fd uintptr) (int, error) { return unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }

// stall tells how long a peer has shown no sign of life.
type stall struct {
	bytes int64     // at the last sign
	since time.Time // when that was seen; zero before the first look
}

// over takes a look: bytes is what the peer has done so far, in bytes, give or
// take a constant. It reports
// whether no look for as long as limit has found more than the one before.
func (t *stall) over(now time.Time, bytes int64, limit time.Duration) bool {
	if t.since.IsZero() || bytes > t.bytes {
		t.bytes, t.since = bytes, now
		return false
	}
	return now.Sub(t.since) >= limit
}
