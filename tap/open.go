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
	"netmirror/wire"
)

// slotBytes is tp_frame_size. Version 3 packs packets of any size into a block
// and uses it only to check the request.
const slotBytes = 2048

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

// newRing opens a socket for a ring of the group.
func (g *group) newRing(cfg Config) (*Ring, error) {
	// Protocol 0: nothing is received before bind names one, when a filter is
	// in place.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, captureError(err)
	}
	sleeps, err := sleeper.New(fd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tap: %w", err), unix.Close(fd))
	}
	r := &Ring{cfg: cfg, group: g, splitter: splitter{mirror: cfg.Mirror}, fd: fd, sleeper: sleeps, opened: time.Now()}
	r.awake = r.awakened
	r.paced = sleeps.Paced(r.ready, r.stopping.Load)
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
	if err := r.mapRing(); err != nil {
		return err
	}
	protocol := uint8(wire.ProtoUDP)
	if r.cfg.Mirror.GRE() {
		protocol = defrag.AnyProtocol // what passes the filter is UDP or GRE
	}
	r.fragments = defrag.New(defrag.Config{Protocol: protocol, Bytes: r.cfg.FragmentBytes, Timeout: r.cfg.FragmentTimeout})
	return nil
}

// mapRing has the kernel make the ring, and maps it.
func (r *Ring) mapRing() error {
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("tap: choosing TPACKET_V3: %w", err)
	}
	r.offloads = showOffload(r.fd)
	blocks := r.cfg.RingBytes / r.cfg.BlockBytes
	req := unix.TpacketReq3{
		Block_size:     uint32(r.cfg.BlockBytes),
		Block_nr:       uint32(blocks),
		Frame_size:     slotBytes,
		Frame_nr:       uint32(blocks * (r.cfg.BlockBytes / slotBytes)),
		Retire_blk_tov: uint32(r.cfg.BlockTimeout / time.Millisecond),
	}
	if err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return fmt.Errorf("tap: making a ring of %d bytes: %w", r.cfg.RingBytes, err)
	}
	mem, err := unix.Mmap(r.fd, 0, r.cfg.RingBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("tap: mapping a ring of %d bytes: %w", r.cfg.RingBytes, err)
	}
	r.mem = mem
	return nil
}

// bind starts the capture, as far as the filter lets it.
func (r *Ring) bind(ifi *net.Interface) error {
	if ifi.Index != 0 {
		mreq := unix.PacketMreq{Ifindex: int32(ifi.Index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(r.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &mreq); err != nil {
			return fmt.Errorf("tap: promiscuous mode on %s: %w", ifi.Name, err)
		}
	}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
		return fmt.Errorf("tap: leaving out sent packets needs Linux 4.20: %w", err)
	}
	// The protocol is in network byte order.
	var proto [2]byte
	binary.BigEndian.PutUint16(proto[:], unix.ETH_P_ALL)
	at := unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(proto[:]), Ifindex: ifi.Index}
	if err := unix.Bind(r.fd, &at); err != nil {
		return fmt.Errorf("tap: binding to %s: %w", ifi.Name, err)
	}
	return nil
}
