package corpus

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// summing is what the checksum field of a segment holds.
type summing int

const (
	rightSum      summing = iota
	pseudoSum             // the sum of the pseudo-header, as checksum offload leaves it
	lengthlessSum         // the same without the length, as Windows leaves it in large packets
)

// seg is a segment at some place in its connection.
type seg struct {
	flags string // of "SAFRPE"
	data  string
	off   int // from the sender's next sequence number
	ack   int // from the number that it should acknowledge
	sum   summing
	ago   time.Duration      // by how much its timestamp is older than it should be
	fresh bool               // the data are the client's next
	opts  []layers.TCPOption // beyond the usual ones
	shape func(ip []byte) [][]byte
}

// emit captures a segment of the client.
func (c *conn) emit(s seg) {
	if s.sum == rightSum {
		s.sum = c.sum
	}
	c.put(c.client, c.server, s, c.next+uint32(s.off), c.clientAck+uint32(s.ack), false)
}

// emitServer captures a segment of the server, which acknowledges all that the
// client has sent.
func (c *conn) emitServer(s seg) {
	c.put(c.server, c.client, s, c.reply+uint32(s.off), c.next+uint32(s.ack), true)
}

func (c *conn) put(from, to netip.AddrPort, s seg, seq, ack uint32, fromServer bool) {
	tcp := layers.TCP{
		SrcPort: layers.TCPPort(from.Port()), DstPort: layers.TCPPort(to.Port()), Seq: seq, Window: c.window,
		SYN: strings.Contains(s.flags, "S"), ACK: strings.Contains(s.flags, "A"), FIN: strings.Contains(s.flags, "F"),
		RST: strings.Contains(s.flags, "R"), PSH: strings.Contains(s.flags, "P"), ECE: strings.Contains(s.flags, "E"),
		Options: c.options(s),
	}
	if tcp.ACK {
		tcp.Ack = ack
	}
	if tcp.SYN {
		tcp.Window = 64128 // never scaled (RFC 7323, section 2.2)
	}
	packets := [][]byte{packet(from.Addr(), to.Addr(), tcp, s.data, s.sum)}
	if s.shape != nil {
		packets = s.shape(packets[0])
	}
	for _, p := range packets {
		for _, b := range c.framesOf(p) {
			c.frame(Frame{Bytes: b, Server: fromServer, Fresh: s.fresh, Data: len(s.data)})
		}
	}
}

// framesOf are the frames that carry an IP packet.
func (s *scene) framesOf(ip []byte) [][]byte {
	if s.wrap == nil {
		return [][]byte{ethernet(ip)}
	}
	return s.wrap(ip)
}

func (c *conn) options(s seg) (opts []layers.TCPOption) {
	if strings.Contains(s.flags, "S") {
		opts = append(opts, layers.TCPOption{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{0x05, 0xb4}})
		if !c.plain {
			opts = append(opts, layers.TCPOption{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{7}})
		}
	}
	if !c.plain && !strings.Contains(s.flags, "R") {
		now := uint32(1_000_000 + (c.clock-s.ago)/time.Millisecond)
		values := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, now), now-1)
		opts = append(opts, layers.TCPOption{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: values})
	}
	return append(opts, s.opts...)
}

// packet returns an IP packet.
func packet(from, to netip.Addr, tcp layers.TCP, data string, sum summing) []byte {
	var ip interface {
		gopacket.SerializableLayer
		gopacket.NetworkLayer
	}
	if from.Is4() {
		ip = &layers.IPv4{Version: 4, TTL: 61, Id: uint16(tcp.Seq), Protocol: layers.IPProtocolTCP, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	} else {
		ip = &layers.IPv6{Version: 6, HopLimit: 61, NextHeader: layers.IPProtocolTCP, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err)
	}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, ip, &tcp, gopacket.Payload(data)); err != nil {
		panic(err) // the scripts are constant
	}
	p := buf.Bytes()
	at := headerLen(p)
	switch sum {
	case pseudoSum:
		binary.BigEndian.PutUint16(p[at+16:], pseudoHeaderSum(from, to, len(p)-at))
	case lengthlessSum:
		binary.BigEndian.PutUint16(p[at+16:], pseudoHeaderSum(from, to, 0))
	}
	return p
}

func headerLen(ip []byte) int {
	if ip[0]>>4 == 4 {
		return 20
	}
	return 40
}

// pseudoHeaderSum is the sum over the pseudo-header of RFC 9293, section 3.1,
// without the final complement.
func pseudoHeaderSum(from, to netip.Addr, length int) uint16 {
	sum := uint32(layers.IPProtocolTCP) + uint32(length)
	for _, a := range [][]byte{from.AsSlice(), to.AsSlice()} {
		for ; len(a) > 0; a = a[2:] {
			sum += uint32(binary.BigEndian.Uint16(a))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func ethernet(ip []byte) []byte {
	t := layers.EthernetTypeIPv4
	if ip[0]>>4 == 6 {
		t = layers.EthernetTypeIPv6
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{}, &layers.Ethernet{
		SrcMAC: net.HardwareAddr{2, 0, 0, 0, 7, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 7, 2}, EthernetType: t,
	}, gopacket.Payload(ip)); err != nil {
		panic(err)
	}
	return buf.Bytes()
}
