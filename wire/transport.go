package wire

import "encoding/binary"

// Sizes of headers, in bytes.
const (
	UDPHeader = 8  // RFC 768
	TCPHeader = 20 // without options (RFC 9293, section 3.1)
)

// UDP is a datagram that begins with its header, which is there (RFC 768).
type UDP []byte

// Length is the datagram's by its own account, header included, bytes.
func (d UDP) Length() int { return int(binary.BigEndian.Uint16(d[4:])) }

// TCP's control bits (RFC 9293, section 3.1).
const (
	FlagFIN = 0x01
	FlagSYN = 0x02
	FlagRST = 0x04
	FlagACK = 0x10
)

// TCP is a segment that begins with its header, which is there but for its options
// (RFC 9293, section 3.1).
type TCP []byte

// Seq is the sequence number.
func (s TCP) Seq() uint32 { return binary.BigEndian.Uint32(s[4:]) }

// HeaderLen is the size that the header says it has, bytes.
func (s TCP) HeaderLen() int { return int(s[12]>>4) * 4 }

// Flags are the control bits.
func (s TCP) Flags() uint8 { return s[13] }

// SrcPort is the source port of a TCP or UDP header. b must hold 4 bytes.
func SrcPort(b []byte) uint16 { return binary.BigEndian.Uint16(b) }

// DstPort is the destination port of a TCP or UDP header. b must hold 4 bytes.
func DstPort(b []byte) uint16 { return binary.BigEndian.Uint16(b[2:]) }
