package netstack

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// ClientID is a virtual client's address in gVisor. It is only a key: every
// attempt to open an endpoint has one of its own, so that no two connections ever
// meet on one address, whatever addresses the mirrored ones have.
type ClientID uint64

// serverAddr is the address that all virtual clients connect to, and theirs but
// for the last 8 bytes, which are the ClientID. Both are of the prefix for local
// use (RFC 4193).
var serverAddr = [16]byte{0xfd}

// idOf undoes the address of a ClientID.
func idOf(addr []byte) ClientID { return ClientID(binary.BigEndian.Uint64(addr[8:16])) }

// clientPort is the port of every virtual client.
const clientPort = 1024

// Segment is one that a virtual client sends. It carries no TCP option but those in
// Options.
type Segment struct {
	From    ClientID
	Port    uint16 // of the listener
	Seq     uint32
	Ack     uint32
	Flags   uint8
	Options []byte // a multiple of 4 bytes
}

const (
	ipv6HeaderLen = 40
	tcpHeaderLen  = 20
)

// header builds the IP and TCP headers of a packet with n payload bytes. Checksums are
// left out.
func (s *Segment) header(n int) *buffer.View {
	tcpLen := tcpHeaderLen + len(s.Options)
	view := buffer.NewViewSize(ipv6HeaderLen + tcpLen) // zeroed
	ip := view.AsSlice()
	ip[0] = 0x60
	binary.BigEndian.PutUint16(ip[4:], uint16(tcpLen+n))
	ip[6], ip[7] = uint8(header.TCPProtocolNumber), 64
	copy(ip[8:], serverAddr[:8])
	binary.BigEndian.PutUint64(ip[16:], uint64(s.From))
	copy(ip[24:], serverAddr[:])
	tcp := ip[ipv6HeaderLen:]
	binary.BigEndian.PutUint16(tcp[0:], clientPort)
	binary.BigEndian.PutUint16(tcp[2:], s.Port)
	binary.BigEndian.PutUint32(tcp[4:], s.Seq)
	binary.BigEndian.PutUint32(tcp[8:], s.Ack)
	tcp[12], tcp[13] = uint8(tcpLen/4)<<4, s.Flags
	binary.BigEndian.PutUint16(tcp[14:], 65535)
	copy(tcp[tcpHeaderLen:], s.Options)
	return view
}
