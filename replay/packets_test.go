package replay

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"netmirror/wire/wiretest"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// plainFrame is a client's packet to a port, in Ethernet.
func plainFrame(t testing.TB, port layers.TCPPort, payload string) []byte {
	t.Helper()
	eth, ip := headers(layers.IPProtocolTCP)
	tcp := &layers.TCP{SrcPort: 40000, DstPort: port, ACK: true, Window: 1000}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return wiretest.Serialize(t, eth, ip, tcp, gopacket.Payload(payload))
}

// mirrored is a frame as a mirror sends it.
func mirrored(t testing.TB, vni uint32, udpPort layers.UDPPort, frame []byte) []byte {
	t.Helper()
	eth, ip := headers(layers.IPProtocolUDP)
	udp := &layers.UDP{SrcPort: 50000, DstPort: udpPort}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return wiretest.Serialize(t, eth, ip, udp, &layers.VXLAN{ValidIDFlag: true, VNI: vni}, gopacket.Payload(frame))
}

// inGRE is a frame in GRE with a key.
func inGRE(t testing.TB, key uint32, frame []byte) []byte {
	t.Helper()
	eth, ip := headers(layers.IPProtocolGRE)
	return wiretest.Serialize(t, eth, ip, &layers.GRE{Protocol: layers.EthernetTypeTransparentEthernetBridging, KeyPresent: true, Key: key}, gopacket.Payload(frame))
}

func headers(proto layers.IPProtocol) (*layers.Ethernet, *layers.IPv4) {
	return &layers.Ethernet{SrcMAC: make(net.HardwareAddr, 6), DstMAC: make(net.HardwareAddr, 6), EthernetType: layers.EthernetTypeIPv4},
		&layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: net.IP{192, 0, 2, 1}, DstIP: net.IP{192, 0, 2, 2}}
}

var zero = time.Unix(1_700_000_000, 0)

// capture writes frames, each some time after the one before it, into a file.
func capture(t testing.TB, every time.Duration, frames ...[]byte) string {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriterNanos(&b)
	if err := w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for i, f := range frames {
		ci := gopacket.CaptureInfo{Timestamp: zero.Add(time.Duration(i) * every), CaptureLength: len(f), Length: len(f)}
		if err := w.WritePacket(ci, f); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "capture.pcap")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
