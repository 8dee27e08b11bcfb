package lab

import (
	"crypto/sha256"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// copied is what Mon's link carried of one mirrored TCP segment.
type copied struct {
	outer  gopacket.Packet
	frame  []byte // inner, from its Ethernet header on
	vni    uint32
	vlan   uint16
	ip     gopacket.NetworkLayer // inner
	tcp    *layers.TCP           // inner
	packed int                   // TCP payload bytes
}

// parse returns nil for anything else than a whole mirrored TCP segment.
func parse(packet []byte) *copied {
	p := gopacket.NewPacket(packet, layers.LayerTypeEthernet, gopacket.NoCopy)
	vxlan, _ := p.Layer(layers.LayerTypeVXLAN).(*layers.VXLAN)
	if vxlan == nil {
		return nil
	}
	inner := gopacket.NewPacket(vxlan.LayerPayload(), layers.LayerTypeEthernet, gopacket.NoCopy)
	tcp, _ := inner.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if tcp == nil {
		return nil
	}
	c := &copied{outer: p, frame: vxlan.LayerPayload(), vni: vxlan.VNI, tcp: tcp, packed: len(tcp.Payload)}
	c.ip = inner.NetworkLayer()
	if tag, _ := inner.Layer(layers.LayerTypeDot1Q).(*layers.Dot1Q); tag != nil {
		c.vlan = tag.VLANIdentifier
	}
	return c
}

// checksum returns the segment's TCP checksum as carried, as it must be, and
// as checksum offload leaves it (the pseudo-header's sum only).
func (c *copied) checksum(t *testing.T) (carried, full, partial uint16) {
	t.Helper()
	sum := func(payload []byte, header layers.TCP) uint16 {
		if err := header.SetNetworkLayerForChecksum(c.ip); err != nil {
			t.Fatal(err)
		}
		buf := gopacket.NewSerializeBuffer()
		opts := gopacket.SerializeOptions{ComputeChecksums: true}
		if err := gopacket.SerializeLayers(buf, opts, &header, gopacket.Payload(payload)); err != nil {
			t.Fatal(err)
		}
		return header.Checksum
	}
	pseudo := uint32(0)
	for _, end := range [][]byte{c.ip.NetworkFlow().Src().Raw(), c.ip.NetworkFlow().Dst().Raw()} {
		for i := 0; i < len(end); i += 2 {
			pseudo += uint32(end[i])<<8 | uint32(end[i+1])
		}
	}
	pseudo += uint32(layers.IPProtocolTCP) + uint32(int(c.tcp.DataOffset)*4+c.packed)
	for pseudo > 0xffff {
		pseudo = pseudo>>16 + pseudo&0xffff
	}
	return c.tcp.Checksum, sum(c.tcp.Payload, *c.tcp), uint16(pseudo)
}

// traffic sends one POST of 4 MB through the lab and returns what Mon's link
// carried of it, whole packets and parsed. A client whose last segment is lost
// on the mirror gets company until one arrives.
func traffic(t *testing.T, opts Options) (packets [][]byte, segments []*copied) {
	t.Helper()
	ctx := deadline(t)
	l := build(t, opts)
	server := serve(t, l, AnswerHTTP)
	sniffer, err := l.Mon.Sniff(MirrorLink, Incoming)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := sniffer.Close(); err != nil {
			t.Error(err)
		}
	}()
	var sent int
	if err := l.ClientOf(servicePort).With(ctx, func(s *Stream) error {
		err := s.Post(1, 4<<20)
		sent = int(s.Sent(EOF).Len)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(ctx, 1); err != nil {
		t.Fatal(err)
	}
	lossy, whole := opts.LossPermille > 0, opts.MirrorMTU != 1500
	if lossy {
		sentinel(t, l)
	}
	var seen arrivals
	fins := 0
	err = sniffer.Wait(ctx, func(packet []byte) bool {
		packets = append(packets, packet)
		c := parse(packet)
		if c == nil {
			return lossy && isSentinel(packet)
		}
		segments = append(segments, c)
		if c.tcp.DstPort != servicePort {
			return false
		}
		seen.add(c.tcp.Seq, c.packed)
		if c.tcp.FIN {
			fins++
		}
		return !lossy && fins > 0 && (seen.bytes == sent || !whole) && (fins == 2 || !opts.Twice)
	})
	if err != nil {
		t.Fatalf("%d of %d bytes arrived: %v", seen.bytes, sent, err)
	}
	if lossy && seen.bytes >= sent {
		t.Errorf("all %d bytes arrived, though frames should be lost", sent)
	}
	return packets, segments
}

// arrivals counts the bytes of a stream that came, each once: a busy client cuts what it
// sends again into other segments.
type arrivals struct {
	came  [8 << 20]bool // by sequence number, modulo its length: more than a stream's
	bytes int
}

func (c *arrivals) add(seq uint32, n int) {
	for i := range uint32(n) {
		if at := &c.came[(seq+i)%uint32(len(c.came))]; !*at {
			*at = true
			c.bytes++
		}
	}
}

// sentinel sends datagrams along the mirror link, behind the mirror traffic:
// enough of them that loss does not take all.
func sentinel(t *testing.T, l *Lab) {
	t.Helper()
	conn, err := l.Srv.DialUDP(l.Tap())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 20 {
		// The first one's answer, port unreachable, is the second one's error.
		_, _ = conn.Write([]byte("sentinel"))
	}
}

func isSentinel(packet []byte) bool {
	return len(packet) > 8 && string(packet[len(packet)-8:]) == "sentinel"
}

func largest(segments []*copied) (n int) {
	for _, c := range segments {
		n = max(n, len(c.frame))
	}
	return n
}

func TestLabFrames(t *testing.T) {
	const ethernet = 14
	for _, tt := range []struct {
		name    string
		opts    Options
		largest int // bytes of the largest inner frame; 0 is more than a jumbo frame
		check   func(c *copied) bool
	}{
		{"by default they are as on a wire, over IPv4", Options{}, 1500 + ethernet, func(c *copied) bool {
			return c.vni == 42 && c.vlan == 0 && c.tcp.DstPort == servicePort &&
				c.outer.Layer(layers.LayerTypeIPv4) != nil && c.ip.LayerType() == layers.LayerTypeIPv4
		}},
		{"VNI", Options{VNI: 0xabcdef}, 1500 + ethernet, func(c *copied) bool { return c.vni == 0xabcdef }},
		{"inner IPv6", Options{InnerIPv6: true}, 1500 + ethernet, func(c *copied) bool {
			return c.outer.Layer(layers.LayerTypeIPv4) != nil && c.ip.LayerType() == layers.LayerTypeIPv6
		}},
		{"outer IPv6", Options{OuterIPv6: true}, 1500 + ethernet, func(c *copied) bool {
			return c.outer.Layer(layers.LayerTypeIPv6) != nil && c.ip.LayerType() == layers.LayerTypeIPv4
		}},
		{"inner VLAN tag", Options{VLAN: 100}, 1500 + ethernet + 4, func(c *copied) bool {
			return c.vlan == 100 && c.frame[12] == 0x81 && c.frame[13] == 0x00
		}},
		{"MTU 9000", Options{ClientMTU: 9000, MirrorMTU: 9100}, 9000 + ethernet, nil},
		{"super-frames", Options{Offloads: true}, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, segments := traffic(t, tt.opts)
			if n := largest(segments); n != tt.largest && tt.largest != 0 || n < 10_000 && tt.largest == 0 {
				t.Errorf("largest frame has %d bytes, want %d", n, tt.largest)
			}
			for _, c := range segments {
				if tt.check != nil && !tt.check(c) {
					t.Fatalf("unlike the others: %v", c.outer)
				}
				carried, full, partial := c.checksum(t)
				if want := map[bool]uint16{false: full, true: partial}[tt.opts.Offloads]; carried%0xffff != want%0xffff { // 0 and 0xffff are one number (RFC 1071)
					t.Fatalf("TCP checksum %#x, full %#x, pseudo-header only %#x", carried, full, partial)
				}
			}
		})
	}
}

func TestLabSmallMirrorLinkFragmentsOutside(t *testing.T) {
	packets, segments := traffic(t, Options{MirrorMTU: 1500})
	first, last := 0, 0
	for _, packet := range packets {
		if len(packet) > 1514 {
			t.Fatalf("a packet of %d bytes", len(packet))
		}
		p := gopacket.NewPacket(packet, layers.LayerTypeEthernet, gopacket.NoCopy)
		if ip, _ := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ip != nil {
			if ip.Flags&layers.IPv4MoreFragments != 0 {
				first++
			} else if ip.FragOffset > 0 {
				last++
			}
		}
	}
	// Some segments are shorter than they could be.
	if want := (4 << 20) / 1448 * 9 / 10; first < want || first != last {
		t.Errorf("%d first and %d last fragments, want %d pairs or more", first, last, want)
	}
	if n := largest(segments); n > 1514-50 {
		t.Errorf("a frame of %d bytes came in one packet", n)
	}
}

func TestLabBothDirections(t *testing.T) {
	_, segments := traffic(t, Options{BothDirections: true})
	to, from, synack := 0, 0, false
	for _, c := range segments {
		if c.tcp.DstPort == servicePort {
			to++
		} else {
			from++
			synack = synack || c.tcp.SYN && c.tcp.ACK
		}
	}
	if to == 0 || from == 0 || !synack {
		t.Errorf("%d frames to the service, %d from it, SYN-ACK: %t", to, from, synack)
	}
}

func TestLabTwice(t *testing.T) {
	_, segments := traffic(t, Options{Twice: true})
	count := make(map[[32]byte]int)
	for _, c := range segments {
		count[sha256.Sum256(c.frame)]++
	}
	for _, n := range count {
		if n != 2 {
			t.Fatalf("a frame came %d times", n)
		}
	}
}
