package replay

import (
	"encoding/binary"
	"net/netip"
)

const (
	vni         = 42
	servicePort = 8080
)

// Offsets in a frame of the mirror: Ethernet, IPv4 and UDP outside, then VXLAN,
// Ethernet, IPv4 and TCP, all without options.
const (
	atOuterIP  = 14
	atUDP      = atOuterIP + 20
	atVXLAN    = atUDP + 8
	atInnerEth = atVXLAN + 8
	atIP       = atInnerEth + 14
	atTCP      = atIP + 20
	atPayload  = atTCP + 20
)

const (
	fin = 0x01
	syn = 0x02
	psh = 0x08
	ack = 0x10
)

var server = netip.MustParseAddr("198.51.100.1")

// frame is a mirrored client segment as a packet socket gives it. Its TCP
// checksum is the sum of the pseudo-header, as checksum offload leaves it, which
// stays right whatever becomes of the sequence number, and which netmirror adds
// up the whole segment for all the same.
type frame []byte

// newFrame makes a segment of the n-th client.
func newFrame(n uint32, flags byte, payload []byte) frame {
	f := make(frame, atPayload, atPayload+len(payload))
	f = append(f, payload...)
	be := binary.BigEndian
	be.PutUint16(f[12:], 0x0800)
	ipv4(f[atOuterIP:], 17)
	be.PutUint16(f[atUDP:], 49152)
	be.PutUint16(f[atUDP+2:], 4789)
	be.PutUint16(f[atUDP+4:], uint16(len(f)-atUDP))
	f[atVXLAN] = 0x08 // the I flag
	be.PutUint32(f[atVXLAN+4:], vni<<8)
	be.PutUint16(f[atInnerEth+12:], 0x0800)
	ipv4(f[atIP:], 6)
	copy(f[atIP+16:], server.AsSlice())
	be.PutUint16(f[atTCP+2:], servicePort)
	f[atTCP+12] = 20 / 4 << 4
	f[atTCP+13] = flags
	be.PutUint16(f[atTCP+14:], 502)
	f.setClient(n)
	return f
}

// ipv4 writes a header that counts all of b.
func ipv4(b []byte, protocol byte) {
	b[0], b[8], b[9] = 0x45, 64, protocol
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
}

// setClient makes the frame the n-th client's; no two share address and port.
func (f frame) setClient(n uint32) {
	be := binary.BigEndian
	be.PutUint32(f[atIP+12:], 0xc6120000+n/50_000) // 198.18.0.0/15, for benchmarks (RFC 2544)
	be.PutUint16(f[atTCP:], uint16(1024+n%50_000))
	sum := uint32(6) + uint32(len(f)-atTCP)
	for i := atIP + 12; i < atTCP; i += 2 {
		sum += uint32(be.Uint16(f[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	be.PutUint16(f[atTCP+16:], uint16(sum))
}

func (f frame) setSeq(seq uint32) { binary.BigEndian.PutUint32(f[atTCP+4:], seq) }

func (f frame) setAck(ack uint32) { binary.BigEndian.PutUint32(f[atTCP+8:], ack) }
