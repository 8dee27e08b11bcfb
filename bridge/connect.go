package bridge

import (
	"cmp"
	"net"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"netmirror/sleeper"
	"netmirror/target"
)

// sockaddr is a socket address as the kernel has it.
type sockaddr struct {
	raw  unix.RawSockaddrAny
	size uint32
}

// sockaddrOf needs the number of the interface, 0 where the address has no zone.
func sockaddrOf(to netip.AddrPort, zone uint32) (a sockaddr) {
	port := [2]byte{byte(to.Port() >> 8), byte(to.Port())}
	if to.Addr().Is4() {
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw))
		in.Family, in.Addr = unix.AF_INET, to.Addr().As4()
		*(*[2]byte)(unsafe.Pointer(&in.Port)) = port
		a.size = unix.SizeofSockaddrInet4
		return a
	}
	in := (*unix.RawSockaddrInet6)(unsafe.Pointer(&a.raw))
	in.Family, in.Addr, in.Scope_id = unix.AF_INET6, to.Addr().As16(), zone
	*(*[2]byte)(unsafe.Pointer(&in.Port)) = port
	a.size = unix.SizeofSockaddrInet6
	return a
}

// addr is the address without the port. A unix socket has none.
func (a *sockaddr) addr() netip.Addr {
	if a.raw.Addr.Family == unix.AF_INET {
		return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw)).Addr)
	}
	return netip.AddrFrom16((*unix.RawSockaddrInet6)(unsafe.Pointer(&a.raw)).Addr)
}

// sockaddrOfPath is a unix socket's, whose path fits (unix(7)). An abstract name has a
// zero byte in place of its @, and none behind it.
func sockaddrOfPath(path string) (a sockaddr) {
	un := (*unix.RawSockaddrUnix)(unsafe.Pointer(&a.raw))
	un.Family = unix.AF_UNIX
	for i := range len(path) {
		un.Path[i] = int8(path[i])
	}
	n := len(path) + 1
	if path[0] == '@' {
		un.Path[0] = 0
		n--
	}
	a.size = uint32(unsafe.Offsetof(un.Path)) + uint32(n)
	return a
}

// connectNext tries the next address of the target that can be tried.
func (s *stream) connectNext() {
	d := &s.dial
	for len(d.addrs) > 0 && s.l.now < d.begun+int64(s.b.cfg.DialTimeout) {
		d.at, d.addrs = d.addrs[0], d.addrs[1:]
		if s.connect() {
			return
		}
	}
	s.failed(cmp.Or(d.err, errTooLong))
}

// connect begins to connect to d.at; false: it failed.
func (s *stream) connect() bool {
	d := &s.dial
	kind := s.b.kind(&d.at.sock)
	if used, ok := s.l.poll.again(kind); ok {
		s.tcp = used
		s.tcp.deferACK()
		return s.ask()
	}
	fd, err := s.l.poll.socket(int(d.at.sock.raw.Addr.Family))
	if err != nil {
		s.note(os.NewSyscallError("socket", err))
		return false
	}
	s.tcp = tcpConn{fd: fd, kind: kind, prompt: s.b.to.Network != target.TCP}
	if s.b.to.Network == target.TCP {
		s.tcp.setUp()
	}
	if err := s.b.bind(fd); err != nil {
		s.tcp.close()
		s.note(err)
		return false
	}
	return s.ask()
}

// ask has the socket connect to d.at; false: it failed, and the socket is closed.
func (s *stream) ask() bool {
	d := &s.dial
	err := sleeper.RawConnect(s.tcp.fd, &d.at.sock.raw, d.at.sock.size)
	if err == unix.EAGAIN && s.b.to.Network == target.Unix && s.queue() {
		return true
	}
	if err != nil && err != unix.EINPROGRESS && err != unix.EINTR {
		s.tcp.close()
		s.refusedBy(os.NewSyscallError("connect", err))
		return false
	}
	if err := s.tcp.watch(s.l.poll, s, allEvents); err != nil {
		s.tcp.close()
		s.note(err)
		return false
	}
	d.step = connecting
	s.l.again = true
	s.l.timers.set(s, s.addressLimit())
	return true
}

// maxPause is the longest pause before a full listen queue is asked again.
const maxPause = 50 * time.Millisecond

// queue has the stream wait until the listen queue of a unix socket may have room again, which
// nothing tells: connect(2) fails with EAGAIN where TCP would wait. It is false if the address
// has no time left.
func (s *stream) queue() bool {
	d, limit := &s.dial, s.addressLimit()
	if s.l.now >= limit {
		return false
	}
	d.step = queueing
	d.pause = min(max(2*d.pause, time.Millisecond), maxPause)
	s.l.timers.set(s, min(s.l.now+int64(d.pause), limit))
	return true
}

// askAgain asks a listen queue that was full.
func (s *stream) askAgain() {
	s.dial.step = resolving
	if !s.ask() {
		s.connectNext()
	}
}

// addressLimit is when an address is given up: those that are left share the time.
func (s *stream) addressLimit() int64 {
	left := s.dial.begun + int64(s.b.cfg.DialTimeout) - s.l.now
	return s.l.now + left/int64(len(s.dial.addrs)+1)
}

// event is called when the socket that connects has news.
func (d *dial) event(s *stream, ev events) {
	if d.step != connecting || ev&(evRoom|evOver) == 0 {
		return
	}
	if ev&evOver != 0 {
		if err := s.tcp.pending(); err != nil {
			s.connectFailed(os.NewSyscallError("connect", err))
			return
		}
	}
	if d.at.toItself(s.tcp.fd, s.l.now) {
		s.connectFailed(os.NewSyscallError("connect", unix.ECONNREFUSED))
		return
	}
	d.at.bad = 0
	switch s.b.to.Network {
	case target.TLS:
		s.secure()
		return
	case target.Unix:
		s.connected(&unixConn{tcpConn: &s.tcp, s: s})
	default:
		s.connected(&s.tcp)
	}
	s.event(ev &^ evRoom)
}

// connectFailed goes on with the next address.
func (s *stream) connectFailed(err error) {
	s.dial.cancel(s)
	s.dial.step = resolving
	s.refusedBy(err)
	s.connectNext()
}

// refusedBy notes that the address did not take the connection.
func (s *stream) refusedBy(err error) {
	s.dial.at.bad = s.l.now + int64(badFor)
	s.note(err)
}

// note keeps the first error of an attempt.
func (s *stream) note(err error) {
	if s.dial.err == nil {
		at := s.dial.at.name()
		s.dial.err = &net.OpError{Op: "dial", Net: at.Network(), Addr: at, Err: err}
	}
}

// name is the address in an error.
func (a *address) name() net.Addr {
	if a.path != "" {
		return &net.UnixAddr{Name: a.path, Net: "unix"}
	}
	return net.TCPAddrFromAddrPort(a.to)
}

// afarFor is how long an address is believed to be another host's.
const afarFor = time.Second

// toItself reports whether a socket is connected to itself, as happens now and then
// where nobody listens on a port of this host from which connections are made.
func (a *address) toItself(fd int, now int64) bool {
	if a.to.Port() < 1024 {
		return false // connections are made from none of these
	}
	if now < a.afar {
		return false
	}
	var own sockaddr
	var err error
	own.size, err = sleeper.RawName(fd, &own.raw)
	if err == nil && own.addr() != a.sock.addr() {
		a.afar = now + int64(afarFor)
	}
	return err == nil && own == a.sock
}
