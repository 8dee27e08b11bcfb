// Package tap takes mirrored packets off a network interface: an AF_PACKET
// socket with a TPACKET_V3 ring (Linux, Documentation/networking/packet_mmap.rst),
// a filter in the kernel for the mirror's encapsulation and, if wanted, for the
// mirrored service, and reassembly of outer IP fragments. Several rings can share
// an interface's packets, each mirrored connection in one of them.
//
// It never sends a packet, and prevents the host's kernel from answering mirrored
// ones. Only the programs that it gives to the kernel look inside the mirror's
// packets.
package tap

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/net/bpf"

	"netmirror/defrag"
	"netmirror/filter"
	"netmirror/service"
	"netmirror/wire"
)

const (
	defaultRingBytes       = 64 << 20
	defaultBlockBytes      = 1 << 20
	defaultBlockTimeout    = time.Millisecond
	defaultFragmentBytes   = 4 << 20
	defaultFragmentTimeout = 2 * time.Second

	// minBlockBytes holds the largest IP packet with an Ethernet header and two
	// tags, behind the block's, the packet's and the address's header.
	minBlockBytes = 0xffff + wire.EthernetHeader + 2*wire.VLANTag + 256
	// minBlocks lets the kernel fill one block while the reader has another.
	minBlocks = 2
)

// AnyInterface captures on all interfaces. What arrives on one that is part of another, a
// bond's or a bridge's, or that has a VLAN interface above it, is captured on both.
const AnyInterface = "any"

// Config says what to capture, and with how much memory. Zero in a field other
// than Interface means its default; a negative value is an error.
type Config struct {
	// Interface is the network interface's name, e.g. "eth0". It must be up,
	// and an Ethernet or the loopback interface. AnyInterface is all that are, also
	// those that come later.
	Interface string
	// Mirror is how the mirror's packets come: to which UDP ports, or in GRE.
	Mirror wire.Mirror
	// VNIs are the VXLAN network identifiers to capture, each 0..16777215. The
	// kernel drops VXLAN with others, uncounted; it does not look where the list is
	// empty, or longer than 64, nor at other encapsulations. The list is not read
	// after Open.
	VNIs []uint32
	// InnerPorts are the TCP ports of the mirrored services. The kernel drops,
	// uncounted, mirrored packets that are certainly neither from nor to them;
	// none means that it does not look.
	InnerPorts service.Ports
	// RingBytes is the memory shared with the kernel, in bytes, rounded up to
	// whole blocks, of which there are at least two; 0 means 64 MiB. When the
	// ring is full, packets are dropped and counted in Stats.Drops.
	//
	// As a block is closed after BlockTimeout however little is in it, the
	// reader may be away for RingBytes/BlockBytes*BlockTimeout at most, before
	// packets are lost at any rate, but for SpareBytes.
	RingBytes int
	// SpareBytes is how many of RingBytes are a ring for what finds no room in the others,
	// rounded up to whole blocks. Its blocks are open for up to 100 ms, so that
	// it lasts for longer at low rates. The kernel uses three quarters of it. 0, or where
	// the others or it would have fewer than four blocks: there is none.
	SpareBytes int
	// BlockBytes is the size of a block, the unit in which packets are handed
	// over, in bytes: a multiple of the page size that holds a packet of 64 KiB
	// with its headers; 0 means 1 MiB.
	BlockBytes int
	// BlockTimeout is how long a packet may wait in a block that is not full,
	// rounded up to whole milliseconds, the kernel's unit; 0 means 1 ms. While
	// blocks begin less than twice as long after one another, in any ring of a
	// group, Next looks for two at a time: a packet then waits up to twice as long,
	// and in a group of several up to three times. It does not where that is more than
	// 20 ms, or a burst of 20 Gbit/s could fill the ring meanwhile.
	BlockTimeout time.Duration
	// BusyPoll is how long Next looks at the ring over and over before it waits
	// for the kernel to wake it; 0 means not at all. It spares the wake-up, and
	// takes a core for itself as long as packets come more often than that. Next
	// then looks for each block.
	BusyPoll time.Duration
	// FragmentBytes is the memory for outer IP fragments that wait for the rest
	// of their datagram, in bytes, rounded up to whole chunks of 2 KiB; 0 means
	// 4 MiB. At the limit the oldest datagram is dropped and counted.
	FragmentBytes int
	// FragmentTimeout is how long the first fragment to arrive waits for the
	// rest of its datagram; 0 means 2 s.
	FragmentTimeout time.Duration
}

// resolve gives the configuration with its defaults put in and its sizes
// rounded up.
func (c Config) resolve() (Config, error) {
	c.RingBytes = cmp.Or(c.RingBytes, defaultRingBytes)
	c.BlockBytes = cmp.Or(c.BlockBytes, defaultBlockBytes)
	c.BlockTimeout = cmp.Or(c.BlockTimeout, defaultBlockTimeout)
	c.FragmentBytes = cmp.Or(c.FragmentBytes, defaultFragmentBytes)
	c.FragmentTimeout = cmp.Or(c.FragmentTimeout, defaultFragmentTimeout)

	if min(c.RingBytes, c.SpareBytes, c.BlockBytes, c.FragmentBytes) < 0 || min(c.BlockTimeout, c.FragmentTimeout, c.BusyPoll) < 0 {
		return c, fmt.Errorf("negative size or time in %+v", c)
	}
	if err := c.Mirror.Check(); err != nil {
		return c, err
	}
	for _, vni := range c.VNIs {
		if vni > wire.MaxVNI {
			return c, fmt.Errorf("VNI %d has more than 24 bits", vni)
		}
	}
	if page := os.Getpagesize(); c.BlockBytes%page != 0 || c.BlockBytes < minBlockBytes {
		return c, fmt.Errorf("block of %d bytes: must be a multiple of %d and at least %d",
			c.BlockBytes, page, roundUp(minBlockBytes, page))
	}
	c.RingBytes = roundUp(max(c.RingBytes, minBlocks*c.BlockBytes), c.BlockBytes)
	c.BlockTimeout = roundUp(c.BlockTimeout, time.Millisecond)
	c.FragmentBytes = roundUp(c.FragmentBytes, defrag.ChunkBytes)
	return c, nil
}

// filter is what the kernel's programs look for.
func (c Config) filter() filter.Config {
	return filter.Config{Mirror: c.Mirror, VNIs: c.VNIs, InnerPorts: c.InnerPorts, AnyLink: c.Interface == AnyInterface}
}

// program is the kernel's filter for each socket, which share the packets or are one.
func (c Config) program(shared bool) []bpf.Instruction {
	if shared {
		return slices.Concat(filter.DropSent, c.filter().Frames())
	}
	return c.filter().Frames()
}

// roundUp gives the smallest multiple of unit that is not below n.
func roundUp[T ~int | ~int64](n, unit T) T {
	return (n + unit - 1) / unit * unit
}
