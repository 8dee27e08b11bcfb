package netstack

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"netmirror/wire"
)

// network is gVisor's IPv4 but for what TCP sends: that goes into the mailbox as it is. Nobody
// receives a packet here, so none needs an IP header, a rule or a queue.
type network struct {
	stack.NetworkProtocol
	box *mailbox
}

func newNetwork(box *mailbox) stack.NetworkProtocolFactory {
	return func(s *stack.Stack) stack.NetworkProtocol { return &network{ipv4.NewProtocol(s), box} }
}

// addressable is what an endpoint of IPv4 is.
type addressable interface {
	stack.NetworkEndpoint
	stack.AddressableEndpoint
}

type networkEndpoint struct {
	addressable
	box *mailbox
}

func (n *network) NewEndpoint(nic stack.NetworkInterface, d stack.TransportDispatcher) stack.NetworkEndpoint {
	return &networkEndpoint{n.NetworkProtocol.NewEndpoint(nic, d).(addressable), n.box}
}

// WritePacket reads an answer of TCP's. Whatever else gVisor sends (group membership)
// concerns nobody.
func (e *networkEndpoint) WritePacket(r *stack.Route, _ stack.NetworkHeaderParams, pkt *stack.PacketBuffer) tcpip.Error {
	tcp := header.TCP(pkt.TransportHeader().Slice())
	if pkt.TransportProtocolNumber != header.TCPProtocolNumber || len(tcp) < tcpHeaderLen {
		return nil
	}
	to := r.RemoteAddress()
	a := Answer{
		To:     idOf(to.AsSlice(), tcp.DestinationPort()),
		From:   tcp.SourcePort(),
		Seq:    tcp.SequenceNumber(),
		Ack:    tcp.AckNumber(),
		Window: tcp.WindowSize(),
		Flags:  uint8(tcp.Flags()),
	}
	if a.Flags&wire.FlagSYN != 0 {
		opts := header.ParseSynOptions(tcp.Options(), true)
		a.Scale = uint8(max(opts.WS, 0))
	}
	e.box.put(a)
	return nil
}
