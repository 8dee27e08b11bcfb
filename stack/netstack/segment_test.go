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
	view := (&Segment{From: 9, Port: testPort, Seq: 7, Ack: 77, Flags: wire.FlagACK}).header(3)
	defer view.Release()
	view.Write([]byte("abc"))
	ip := header.IPv6(view.AsSlice())
	if !ip.IsValid(view.Size()) || ip.NextHeader() != uint8(header.TCPProtocolNumber) {
		t.Fatalf("not a valid IPv6 TCP packet: % x", view.AsSlice())
	}
	if src := ip.SourceAddress().As16(); idOf(src[:]) != 9 {
		t.Errorf("it comes from %v", ip.SourceAddress())
	}
	tcp := header.TCP(ip.Payload())
	if tcp.SequenceNumber() != 7 || tcp.AckNumber() != 77 || tcp.DestinationPort() != testPort ||
		tcp.DataOffset() != 20 || string(tcp.Payload()) != "abc" {
		t.Errorf("% x", view.AsSlice())
	}
}
