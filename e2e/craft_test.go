package e2e

import (
	"cmp"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// crafted is a client of the service that exists in hand-made mirror packets
// only. It sends them straight to the mirror's receiver.
type crafted struct {
	t    testing.TB
	conn *net.UDPConn
	src  netip.AddrPort
	dst  netip.AddrPort
	seq  uint32
	ack  uint32 // of the server's stream
	sent int    // packets with payload
	vni  uint32 // 0: 42
}

// summing is how a crafted packet's TCP checksum is wrong.
type summing int

const (
	rightSum  summing = iota
	wrongSum          // as of a packet that was damaged on its way
	pseudoSum         // of the pseudo-header only, as checksum offload leaves it (linux/skbuff.h, CHECKSUM_PARTIAL)
)

// craft returns the n-th crafted client; they share no address.
func (s *scene) craft(t testing.TB, n uint32) *crafted {
	t.Helper()
	return craftOn(t, s.dialTap(t), s.Origin(servicePort), n)
}

// dialTap returns a socket to the mirror's receiver, open until the test ends.
func (s *scene) dialTap(t testing.TB) *net.UDPConn {
	t.Helper()
	conn, err := s.Srv.DialUDP(s.Tap())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func craftOn(t testing.TB, conn *net.UDPConn, dst netip.AddrPort, n uint32) *crafted {
	src := [4]byte(binary.BigEndian.AppendUint32(nil, 0xc6120000+n)) // 198.18.0.0/15, for benchmarks (RFC 2544)
	return &crafted{
		t: t, conn: conn, dst: dst, seq: n * 2654435761,
		src: netip.AddrPortFrom(netip.AddrFrom4(src), uint16(1024+n%60_000)),
	}
}

// open sends the client's part of a handshake.
func (c *crafted) open() {
	c.t.Helper()
	c.syn()
	c.write(c.packet(layers.TCP{ACK: true}, nil, rightSum))
}

func (c *crafted) syn() {
	c.t.Helper()
	c.write(c.packet(layers.TCP{SYN: true, Options: []layers.TCPOption{
		{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{0x05, 0xb4}},
		{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{7}},
	}}, nil, rightSum))
	c.seq++
}

// send sends the next bytes of the stream; resend sends bytes that went before.
func (c *crafted) send(payload []byte, sum summing) {
	c.t.Helper()
	c.write(c.packet(layers.TCP{ACK: true, PSH: true}, payload, sum))
	c.sent++
	c.seq += uint32(len(payload))
}

func (c *crafted) resend(payload []byte) {
	c.t.Helper()
	c.seq -= uint32(len(payload))
	c.send(payload, rightSum)
}

// sendCut sends the next bytes in a frame that lacks the last cut of them,
// though its IP header counts them.
func (c *crafted) sendCut(payload []byte, cut int) {
	c.t.Helper()
	p := c.packet(layers.TCP{ACK: true, PSH: true}, payload, rightSum)
	c.write(p[:len(p)-cut])
	c.seq += uint32(len(payload))
}

// close sends the FIN.
func (c *crafted) close() {
	c.t.Helper()
	c.write(c.packet(layers.TCP{ACK: true, FIN: true}, nil, rightSum))
	c.seq++
}

// packet is a VXLAN payload with a segment at the client's place in its stream.
func (c *crafted) packet(tcp layers.TCP, payload []byte, sum summing) []byte {
	c.t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: c.src.Addr().AsSlice(), DstIP: c.dst.Addr().AsSlice()}
	tcp.SrcPort, tcp.DstPort = layers.TCPPort(c.src.Port()), layers.TCPPort(c.dst.Port())
	tcp.Seq, tcp.Ack, tcp.Window = c.seq, c.ack, 64240
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		c.t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.VXLAN{ValidIDFlag: true, VNI: cmp.Or(c.vni, 42)},
		&layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4},
		ip, &tcp, gopacket.Payload(payload),
	); err != nil {
		c.t.Fatal(err)
	}
	p := buf.Bytes()
	const headers = 8 + 14 + 20 // VXLAN, Ethernet, IPv4
	field := p[headers+16 : headers+18]
	switch sum {
	case wrongSum:
		field[0] ^= 0x55
	case pseudoSum:
		binary.BigEndian.PutUint16(field, pseudoHeaderSum(ip, len(p)-headers))
	}
	return p
}

// pseudoHeaderSum is the sum over the pseudo-header of RFC 9293, section 3.1,
// without the final complement.
func pseudoHeaderSum(ip *layers.IPv4, length int) uint16 {
	sum := uint32(ip.Protocol) + uint32(length)
	for _, a := range [][]byte{ip.SrcIP.To4(), ip.DstIP.To4()} {
		sum += uint32(binary.BigEndian.Uint16(a)) + uint32(binary.BigEndian.Uint16(a[2:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func (c *crafted) write(p []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(p); err != nil {
		c.t.Fatal(err)
	}
}
