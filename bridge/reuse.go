package bridge

import (
	"net/netip"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"netmirror/sleeper"
	"netmirror/target"
)

// maxUsed is how many used sockets are kept at a time.
const maxUsed = 64

// usedSocket is one whose connection is over, for the next stream to connect. The kernel spends
// more on making a socket and on freeing it than on taking a connection that is over off it
// (connect(2), AF_UNSPEC). It stays registered with the poller.
type usedSocket struct {
	kind   *socketKind
	fd     int
	slot   int32 // its place in the poller
	prompt bool  // TCP_NODELAY is set
}

// socketKind is all that is settled of a socket before it connects.
type socketKind struct {
	family uint16
	mark   uint32
	source netip.Addr
}

// kindsOf are the kinds that connect to a target: for IPv4 and for IPv6.
func kindsOf(to *target.Target) [2]socketKind {
	return [2]socketKind{{unix.AF_INET, to.Mark, to.Source}, {unix.AF_INET6, to.Mark, to.Source}}
}

// kind is the kind that connects to an address; nil: its sockets are used once. Among them are
// those for link-local addresses, which the kernel binds to the interface for good.
func (b *Bridge) kind(a *sockaddr) *socketKind {
	switch {
	case b.to.Network != target.TCP:
		return nil
	case a.raw.Addr.Family == unix.AF_INET:
		return &b.kinds[0]
	case (*unix.RawSockaddrInet6)(unsafe.Pointer(&a.raw)).Scope_id == 0:
		return &b.kinds[1]
	}
	return nil
}

// keep takes a socket over from a stream.
func (p *poller) keep(s usedSocket) {
	p.slots[s.slot].s = nil
	if len(p.used) == maxUsed {
		p.discard(p.used[0])
		p.used = slices.Delete(p.used, 0, 1)
	}
	p.used = append(p.used, s)
}

// again gives a used socket of a kind that can connect; false: there is none.
func (p *poller) again(kind *socketKind) (t tcpConn, ok bool) {
	if kind == nil {
		return tcpConn{}, false
	}
	for i, s := range slices.Backward(p.used) {
		if *s.kind != *kind {
			continue
		}
		p.used = slices.Delete(p.used, i, i+1)
		if sleeper.RawDisconnect(s.fd) == nil {
			return tcpConn{poll: p, slot: s.slot, fd: s.fd, kind: s.kind, prompt: s.prompt}, true
		}
		p.discard(s)
	}
	return tcpConn{}, false
}

// socket makes a new socket. Used ones, which are of other kinds, make room for its descriptor.
func (p *poller) socket(family int) (fd int, err error) {
	fd, err = sleeper.RawSocket(family)
	if (err == unix.EMFILE || err == unix.ENFILE) && len(p.used) > 0 {
		p.discardUsed()
		fd, err = sleeper.RawSocket(family)
	}
	return fd, err
}

// discardUsed closes all used sockets.
func (p *poller) discardUsed() {
	for _, s := range p.used {
		p.discard(s)
	}
	p.used = p.used[:0]
}

func (p *poller) discard(s usedSocket) {
	p.remove(s.slot)
	sleeper.RawClose(s.fd)
}
