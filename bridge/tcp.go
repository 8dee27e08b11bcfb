package bridge

import (
	"net"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/sleeper"
)

// answerBatch is how many bytes of answers an open stream leaves to the kernel
// before it wakes to discard them. Waking for each of 20 000 small answers a
// second took a third of the CPU; twice this size saves no more.
const answerBatch = 8 << 10

// keepAlive is how long the target's host may be silent before it is asked for a sign
// of life, and the time between two questions: what net's dialer does.
const keepAlive = 15 * time.Second

// tcpConn is a targetConn on a TCP socket, of whose events the poller tells. It is
// part of its stream.
type tcpConn struct {
	poll *poller // nil before watch
	slot int32   // its place there
	fd   int
	conn *net.TCPConn // owns fd; nil: this does
	kind *socketKind  // for which it may be used again; nil: it may not

	wrote   bool // write was called
	prompt  bool // TCP_NODELAY is set, or unknown to the socket
	inOrder bool // the connection is over, and ended in order
}

// setUp sets the options of a new socket of TCP, of which the loop hears everything. They
// matter less than the connection: where one cannot be set there is nothing better to do.
func (t *tcpConn) setUp() {
	t.deferACK()
	// A socket is ready to be read at so many bytes, a FIN or a RST (socket(7)).
	_ = sleeper.RawSet(t.fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, answerBatch)
}

// deferACK has the acknowledgement of the SYN-ACK go with the first bytes, which saves a packet. If
// there are none, confirm sends it. A connection takes this setting with it when it is over.
func (t *tcpConn) deferACK() { _ = sleeper.RawSet(t.fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0) }

// setPrompt has no bytes wait for the acknowledgement of those before them. That makes no
// difference for the first write, all of which Linux sends at once (it follows Minshall), and
// many connections write once.
func (t *tcpConn) setPrompt() {
	if !t.prompt {
		t.prompt = true
		_ = sleeper.RawSet(t.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
}

// adopt takes c over.
func (t *tcpConn) adopt(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { t.fd = int(fd) })
	}
	if err == nil {
		t.conn = c
	}
	return err
}

// allEvents are those that a stream hears of on a socket of its own.
const allEvents = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP

// watch makes p report events to s until the connection is closed: the given ones, and those
// that poller.add reports in any case.
func (t *tcpConn) watch(p *poller, s *stream, events uint32) (err error) {
	if t.poll != nil { // it has been used
		p.slots[t.slot].s = s
		return nil
	}
	if t.slot, err = p.add(s, t.fd, events); err == nil {
		t.poll = p
	}
	return err
}

func (t *tcpConn) keepAlive() {
	t.kind = nil
	const seconds = int32(keepAlive / time.Second)
	_ = sleeper.RawSet(t.fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds)
	_ = sleeper.RawSet(t.fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds)
	_ = sleeper.RawSet(t.fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
}

// write lets the kernel hold the last bytes back until closeWrite, so that the FIN goes with
// them (MSG_MORE, send(2)). That saves a packet, and the target wakes once less.
func (t *tcpConn) write(p []byte, last bool) (n int, err error) {
	flags := 0
	if last {
		flags = unix.MSG_MORE
	}
	if t.wrote {
		t.setPrompt()
	}
	t.wrote = true
	for {
		n, err = sleeper.RawSend(t.fd, p, flags)
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

func (t *tcpConn) confirm() { _ = sleeper.RawSet(t.fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) }

// unacked asks SIOCOUTQ, tcp(7).
func (t *tcpConn) unacked() (int, error) { return sleeper.RawQueue(t.fd, unix.SIOCOUTQ) }

// scratch gives discarding receives their length. The kernel never writes to it,
// so its pages are never backed by memory and all streams can share it.
var scratch [1 << 20]byte

// discard takes up to len(scratch) bytes off the receive queue and throws them away
// uncopied: MSG_TRUNC on a TCP socket, tcp(7).
func (t *tcpConn) discard() (n int, more bool, err error) {
	for {
		n, err = sleeper.RawReceive(t.fd, scratch[:], unix.MSG_TRUNC|unix.MSG_DONTWAIT)
		switch err {
		case nil:
			return n, n == len(scratch), nil
		case unix.EAGAIN:
			return 0, false, nil
		case unix.EINTR:
		default:
			return 0, false, err
		}
	}
}

func (t *tcpConn) saidFIN() bool { return sleeper.RawReady(t.fd, unix.POLLRDHUP) }

// tcpClose is TCP_CLOSE of the kernel's include/net/tcp_states.h.
const tcpClose = 7

// timestamps is TCPI_OPT_TIMESTAMPS of the kernel's include/uapi/linux/tcp.h.
const timestamps = 1

// over asks TCP_INFO, whose first byte is the state, and whose sixth is the options. The cause is the socket's
// pending error (SO_ERROR, which this clears). A socket at the peer's FIN keeps on
// reading as EOF when a RST follows; only this tells.
func (t *tcpConn) over() (over bool, cause error) {
	info, err := sleeper.RawGet(t.fd, unix.IPPROTO_TCP, unix.TCP_INFO, 8)
	if err != nil {
		return true, err
	}
	if info&0xff != tcpClose {
		return false, nil
	}
	// The host of a target that closed first remembers the addresses for a while (TIME-WAIT), and
	// believes a new connection between them if its timestamps or its sequence numbers are higher
	// (RFC 6191). The sequence numbers of a socket that is used again are not: they go on from the
	// connection before, which was between other addresses.
	if info>>40&timestamps == 0 {
		t.kind = nil
	}
	cause = t.pending()
	t.inOrder = cause == nil
	return true, cause
}

// pending takes the error off the socket.
func (t *tcpConn) pending() error {
	errno, err := sleeper.RawGet(t.fd, unix.SOL_SOCKET, unix.SO_ERROR, 4)
	if err == nil && errno != 0 {
		err = unix.Errno(errno)
	}
	return err
}

func (t *tcpConn) closeWrite() error { return sleeper.RawShutdown(t.fd) }

func (t *tcpConn) close() {
	if t.inOrder && t.kind != nil {
		t.poll.keep(usedSocket{t.kind, t.fd, t.slot, t.prompt})
		return
	}
	if t.poll != nil {
		t.poll.remove(t.slot)
	}
	if t.conn != nil {
		t.conn.Close()
		return
	}
	sleeper.RawClose(t.fd)
}

func (t *tcpConn) reset() {
	t.kind = nil
	// Without the option a close is still a close; there is nothing better to do.
	_ = sleeper.RawSetLinger(t.fd)
	t.close()
}
