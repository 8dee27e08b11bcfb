// Package udp receives mirrored packets by ordinary UDP sockets that are bound to the
// mirror's ports (udp(7)), whatever encapsulation comes to each. It needs no privilege: the
// kernel removes the outer Ethernet, IP and UDP headers, joins outer fragments and verifies
// the checksums. A program in the kernel distributes mirrored connections among several
// receivers and leaves out what is not wanted.
//
// It sees only what is sent to one of this host's addresses. It never sends a packet. It looks
// into a datagram only to split several datagrams that came as one.
package udp

import (
	"cmp"
	"fmt"
	"time"

	"golang.org/x/net/bpf"

	"netmirror/filter"
	"netmirror/service"
	"netmirror/wire"
)

const (
	defaultBytes = 64 << 20
	defaultWait  = time.Millisecond
	// maxInterfaces is the longest list that the kernel's program goes through, for
	// each packet from its start.
	maxInterfaces = 64
	maxReceivers  = 256
)

// Config says what to receive, and with how much memory. Zero in a field means its
// default; a negative value is an error.
type Config struct {
	// Interfaces are the names of the network interfaces that the mirror's packets arrive
	// on; they must be up. Empty means all of the host's. There may be 64. The list is not read
	// after Open.
	Interfaces []string
	// Mirror is how the mirror's packets come. Only what comes over UDP is received: GRE
	// and ERSPAN are left out, and it is an error where nothing else is asked for.
	Mirror wire.Mirror
	// VNIs and InnerPorts select what the kernel hands over, as in filter.Config: what is
	// certainly something else is left out, uncounted.
	VNIs       []uint32
	InnerPorts service.Ports
	// Bytes is the memory for packets that wait to be received, in bytes, of all sockets
	// together, as the kernel counts it: with what it needs for each packet itself. The ports
	// that something has come to have equal shares, the others next to nothing. 0
	// means 64 MiB. Without CAP_NET_ADMIN the kernel grants each socket twice
	// net.core.rmem_max at most, so that a receiver has up to 16 sockets for a port, among which
	// connections are shared; Buffer says how much there is. Where one is full, packets
	// are dropped and counted in Stats.Drops.
	Bytes int
	// Wait is how long a packet may wait for others to be handed over with, and twice that
	// while packets come less than that after one another; 0 means 1 ms. It is less where
	// the buffer could be a quarter full before, and nothing while few packets come.
	Wait time.Duration
	// BusyPoll is how long Next looks for packets over and over before it waits for the
	// kernel to wake it; 0 means not at all. It spares the wake-up, and takes a core for
	// itself as long as packets come more often than that.
	BusyPoll time.Duration
}

// resolve gives the configuration with its defaults put in.
func (c Config) resolve() (Config, error) {
	if c.Bytes < 0 || min(c.Wait, c.BusyPoll) < 0 {
		return c, fmt.Errorf("negative size or time in %+v", c)
	}
	c.Bytes = cmp.Or(c.Bytes, defaultBytes)
	c.Wait = cmp.Or(c.Wait, defaultWait)
	if err := c.Mirror.Check(); err != nil {
		return c, err
	}
	if len(c.ports()) == 0 {
		return c, fmt.Errorf("%w: %v does not", ErrNotUDP, c.Mirror.Encap)
	}
	if len(c.Interfaces) > maxInterfaces {
		return c, fmt.Errorf("%d interfaces: %d at most", len(c.Interfaces), maxInterfaces)
	}
	for _, vni := range c.VNIs {
		if vni > wire.MaxVNI {
			return c, fmt.Errorf("VNI %d has more than 24 bits", vni)
		}
	}
	return c, nil
}

// ports are the mirror's UDP ports.
func (c Config) ports() []wire.UDPPort { return c.Mirror.UDP() }

// program is what shares the datagrams of an encapsulation's port among n sockets.
func (c Config) program(encap wire.Encap, n int, interfaces []int) []bpf.Instruction {
	return filter.Config{VNIs: c.VNIs, InnerPorts: c.InnerPorts}.Datagrams(encap, n, interfaces)
}
