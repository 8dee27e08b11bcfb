package netstack

import (
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"netmirror/wire"
)

const testPort = 8080

// TestSegmentsAreRewritten checks what the packets that reach gVisor say,
// whatever the client's said.
func TestSegmentsAreRewritten(t *testing.T) {
	const id = 9<<20 + 8
	view := (&Segment{From: id, Port: testPort, Seq: 7, Ack: 77, Flags: wire.FlagACK}).header(3)
	defer view.Release()
	view.Write([]byte("abc"))
	ip := header.IPv4(view.AsSlice())
	if !ip.IsValid(view.Size()) || ip.Protocol() != uint8(header.TCPProtocolNumber) {
		t.Fatalf("not a valid IPv4 TCP packet: % x", view.AsSlice())
	}
	tcp := header.TCP(ip.Payload())
	if src := ip.SourceAddress().As4(); idOf(src[:], tcp.SourcePort()) != id {
		t.Errorf("it comes from %v, port %d", ip.SourceAddress(), tcp.SourcePort())
	}
	if tcp.SequenceNumber() != 7 || tcp.AckNumber() != 77 || tcp.DestinationPort() != testPort ||
		tcp.DataOffset() != 20 || string(tcp.Payload()) != "abc" {
		t.Errorf("% x", view.AsSlice())
	}
}
