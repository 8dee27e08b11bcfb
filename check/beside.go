package check

import (
	"encoding/binary"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	bpffilter "netmirror/filter"
	"netmirror/wire"
)

// place is an interface, by the kernel's number, and a UDP port.
type place struct {
	link int
	port uint16
}

const (
	// drainInterval is how often arrived packets are counted. Packets that do not fit the
	// socket's buffer in between are not counted, so a busy overlay network on such a port
	// costs next to nothing.
	drainInterval = 20 * time.Millisecond
	// snapBytes holds an IP header and the UDP ports.
	snapBytes = 64
)

// beside counts packets to the usual ports of tunnels on all interfaces, except those to the
// mirror's ports on the interface under check. On that interface it also counts TCP for other
// hosts. Unlike a tap it binds no port, which may be another program's, and does not make
// interfaces promiscuous.
type beside struct {
	fd   int
	seen map[place]uint64
	bare uint64        // TCP packets for other hosts on the interface under check
	quit chan struct{} // closed by end
	done chan struct{} // closed when counting has ended
}

// listenBeside starts to count. It leaves out packets to ports on link.
func listenBeside(link int, ports []uint16) (*beside, error) {
	// SOCK_DGRAM takes the link's header off, whatever it is (packet(7)).
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := startBeside(fd, link, ports); err != nil {
		unix.Close(fd)
		return nil, err
	}
	b := &beside{fd: fd, seen: make(map[place]uint64), quit: make(chan struct{}), done: make(chan struct{})}
	go b.count()
	return b, nil
}

func startBeside(fd, link int, ports []uint16) error {
	if err := bpffilter.Attach(fd, besideFilter(link, ports)); err != nil {
		return err
	}
	var proto [2]byte // in network byte order
	binary.BigEndian.PutUint16(proto[:], unix.ETH_P_ALL)
	return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(proto[:])})
}

// count drains the socket now and then, until end.
func (b *beside) count() {
	defer close(b.done)
	tick := time.NewTicker(drainInterval)
	defer tick.Stop()
	for {
		select {
		case <-b.quit:
			b.drain()
			return
		case <-tick.C:
			b.drain()
		}
	}
}

// maxDrain bounds one drain, for when packets come as fast as they are counted.
const maxDrain = 4096

func (b *beside) drain() {
	var packet [snapBytes]byte
	for range maxDrain {
		n, from, err := unix.Recvfrom(b.fd, packet[:], 0)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENETDOWN) {
			continue
		}
		if err != nil {
			return // there is none
		}
		if at, ok := from.(*unix.SockaddrLinklayer); ok {
			if isTCP(packet[:n]) {
				b.bare++
			} else if port, ok := udpPort(packet[:n]); ok {
				b.seen[place{at.Ifindex, port}]++
			}
		}
	}
}

// isTCP tells the two kinds of IP packets apart that pass the filter.
func isTCP(ip []byte) bool {
	if len(ip) < wire.IPv4Header {
		return false
	}
	protocol := ip[6] // of IPv6, the next header
	if ip[0]>>4 == versionIPv4 {
		protocol = ip[9]
	}
	return protocol == unix.IPPROTO_TCP
}

// udpPort gives the destination port of an IP packet that passed the filter.
func udpPort(ip []byte) (port uint16, ok bool) {
	if len(ip) == 0 {
		return 0, false
	}
	off := wire.IPv6Header
	if ip[0]>>4 == versionIPv4 {
		off = wire.IPv4(ip).HeaderLen()
	}
	if len(ip) < off+4 {
		return 0, false
	}
	return wire.DstPort(ip[off:]), true
}

// end stops counting and gives what came. bare may be read behind it.
func (b *beside) end() map[place]uint64 {
	close(b.quit)
	<-b.done
	unix.Close(b.fd)
	return b.seen
}
