package tap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/defrag"
	"netmirror/sleeper"
)

// Open starts capturing on an interface, in the network namespace of the calling
// thread. It needs CAP_NET_RAW, and CAP_NET_BIND_SERVICE for a port below 1024.
//
// While the Ring is open, the mirror's UDP ports and GRE are held on all of the
// host's addresses by sockets that drop what they receive, but for a port that
// another socket has already; the interface is in promiscuous
// mode, unless all are captured on.
//
// The errors to test for are link.ErrNone, link.ErrDown, ErrPermission and
// ErrLinkType.
func Open(cfg Config) (*Ring, error) {
	rings, err := OpenGroup(cfg, 1)
	if err != nil {
		return nil, err
	}
	return rings[0], nil
}

// newSocket opens a packet socket. Protocol 0: nothing is received before bind names
// one, when a filter is in place.
func newSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, captureError(err)
	}
	return fd, nil
}

// newRing opens a socket for a ring of the group.
func (g *group) newRing(cfg Config) (*Ring, error) {
	fd, err := newSocket()
	if err != nil {
		return nil, err
	}
	sleeps, err := sleeper.New(fd)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	r := &Ring{cfg: cfg, group: g, splitter: splitter{mirror: cfg.Mirror}, queue: queue{fd: fd}, sleeper: sleeps, opened: time.Now()}
	r.awake = r.awakened
	r.paced = sleeps.Paced(r.pending, r.stopping.Load)
	g.rings = append(g.rings, r)
	g.open.Add(1)
	return r, nil
}

// setUp does what a ring needs before it is bound.
func (r *Ring) setUp(ifi *net.Interface) error {
	if ifi.Index != 0 { // of all, the filter looks at it
		if err := checkLinkType(r.fd, ifi.Name); err != nil {
			return err
		}
	}
	if err := r.queue.open(r.cfg.RingBytes, r.cfg.BlockBytes, r.cfg.BlockTimeout); err != nil {
		return err
	}
	outer := defrag.Outer(r.cfg.Mirror)
	outer.Bytes, outer.Timeout = r.cfg.FragmentBytes, r.cfg.FragmentTimeout
	r.fragments = defrag.New(outer)
	return nil
}

// bind starts the capture, as far as the filter lets it.
func (q *queue) bind(ifi *net.Interface) error {
	if ifi.Index != 0 {
		mreq := unix.PacketMreq{Ifindex: int32(ifi.Index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(q.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &mreq); err != nil {
			return fmt.Errorf("promiscuous mode on %s: %w", ifi.Name, err)
		}
	}
	if err := unix.SetsockoptInt(q.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		return fmt.Errorf("leaving out sent packets needs Linux 4.20: %w", err)
	}
	// The protocol is in network byte order.
	var proto [2]byte
	binary.BigEndian.PutUint16(proto[:], unix.ETH_P_ALL)
	at := unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(proto[:]), Ifindex: ifi.Index}
	if err := unix.Bind(q.fd, &at); err != nil {
		return fmt.Errorf("binding to %s: %w", ifi.Name, err)
	}
	return nil
}
