package e2e

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"netmirror/e2e/lab"
)

// craftSYN is a VXLAN payload with a SYN to the service from the n-th of many
// addresses and ports.
func craftSYN(t *testing.T, to netip.AddrPort, n uint32) []byte {
	t.Helper()
	src := binary.BigEndian.AppendUint32(nil, 0xc6120000+n) // 198.18.0.0/15, for benchmarks (RFC 2544)
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IP(src), DstIP: to.Addr().AsSlice()}
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(1024 + n%60_000), DstPort: layers.TCPPort(to.Port()),
		Seq: n * 2654435761, SYN: true, Window: 64240,
		Options: []layers.TCPOption{
			{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{0x05, 0xb4}},
			{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{7}},
		},
	}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.VXLAN{ValidIDFlag: true, VNI: 42},
		&layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4},
		ip, tcp,
	); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// sendSYNs sends crafted SYNs straight to the mirror's receiver, at a pace that
// the capture can follow: a SYN that the kernel dropped would prove nothing.
func sendSYNs(t *testing.T, s *scene, n uint32) {
	t.Helper()
	conn, err := s.Srv.DialUDP(s.Tap())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := range n {
		if _, err := conn.Write(craftSYN(t, s.Origin(servicePort), i)); err != nil {
			t.Fatalf("SYN %d: %v", i, err)
		}
		if i%500 == 499 {
			<-tick.C
		}
	}
}

func TestSYNFloodCostsNothing(t *testing.T) {
	const syns, bound = 200_000, 64 << 20 // bytes
	s := set(t, lab.Options{}, nil, "--stats-interval", "50ms")
	// Warm: the ring and the runtime have the memory that traffic takes.
	if err := mixed(s.ctx, s.client); err != nil {
		t.Fatal(err)
	}
	if err := s.awaitForwarded(mixedConnections); err != nil {
		t.Fatal(err)
	}
	before := s.netmirror.memory(t)
	received := s.netmirror.stat(t, "packets_received")
	sendSYNs(t, s, syns)
	if err := s.netmirror.awaitStat(s.ctx, "packets_received", func(n int64) bool {
		return n >= received+syns
	}); err != nil {
		t.Fatal(err)
	}
	after := s.netmirror.memory(t)
	t.Logf("resident memory: %d MiB before, %d MiB after", before>>20, after>>20)
	if after-before > bound {
		t.Errorf("%d SYNs took %d MiB", syns, (after-before)>>20)
	}
	if n := len(s.forwarded()); n != mixedConnections {
		t.Errorf("the SYNs opened %d connections", n-mixedConnections)
	}
	// And real clients are still served.
	s.run(t, connections(50, 4, 1, 8<<10))
}
