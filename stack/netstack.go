package stack

import (
	"fmt"
	"io"
	"sync"

	"gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// silenceGVisor keeps gVisor's own log, which speaks of single packets, off
// standard error. gVisor has one logger for the process.
var silenceGVisor = sync.OnceFunc(func() {
	log.SetTarget(log.GoogleEmitter{Writer: &log.Writer{Next: io.Discard}})
})

// netstack is the gVisor stack that plays the servers: a promiscuous,
// spoofing NIC and two listeners (IPv4, IPv6) for every network.
type netstack struct {
	stack     *stack.Stack
	links     []*link
	listeners []tcpip.Endpoint
}

// newNetstack makes a stack with n networks whose NICs accept TCP connections
// to any address at port. backlog must exceed the flows that can exist, so
// that SYN cookies, which lose the window scale, never come up. onAccept is
// called, from gVisor's goroutines, when accept has something to return.
func newNetstack(n int, port uint16, receiveBuffer, backlog int, box *mailbox, onAccept func()) (*netstack, error) {
	silenceGVisor()
	ns := &netstack{stack: stack.New(stack.Options{
		// Mirrors and captures of a loopback interface are as good as any.
		NetworkProtocols: []stack.NetworkProtocolFactory{
			ipv4.NewProtocolWithOptions(ipv4.Options{AllowExternalLoopbackTraffic: true}),
			ipv6.NewProtocolWithOptions(ipv6.Options{AllowExternalLoopbackTraffic: true}),
		},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})}
	if err := ns.configure(receiveBuffer); err != nil {
		ns.close()
		return nil, err
	}
	for i := range n {
		if err := ns.addNetwork(i, port, backlog, box, onAccept); err != nil {
			ns.close()
			return nil, err
		}
	}
	return ns, nil
}

func (ns *netstack) configure(receiveBuffer int) error {
	buf := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4096, Default: receiveBuffer, Max: receiveBuffer}
	// A buffer that is tuned upwards would make the memory of a flow depend
	// on its history.
	moderate := tcpip.TCPModerateReceiveBufferOption(false)
	sack := tcpip.TCPSACKEnabled(false)
	for _, opt := range []tcpip.SettableTransportProtocolOption{&buf, &moderate, &sack} {
		if err := ns.stack.SetTransportProtocolOption(tcp.ProtocolNumber, opt); err != nil {
			return gvisorError(fmt.Sprintf("set TCP option %T", opt), err)
		}
	}
	return nil
}

func (ns *netstack) addNetwork(i int, port uint16, backlog int, box *mailbox, onAccept func()) error {
	nic := tcpip.NICID(i + 1)
	l := &link{network: i, box: box}
	if err := ns.stack.CreateNIC(nic, l); err != nil {
		return gvisorError("create NIC", err)
	}
	ns.links = append(ns.links, l)
	if err := ns.stack.SetPromiscuousMode(nic, true); err != nil {
		return gvisorError("set promiscuous mode", err)
	}
	if err := ns.stack.SetSpoofing(nic, true); err != nil {
		return gvisorError("set spoofing", err)
	}
	ns.stack.AddRoute(tcpip.Route{Destination: header.IPv4EmptySubnet, NIC: nic})
	ns.stack.AddRoute(tcpip.Route{Destination: header.IPv6EmptySubnet, NIC: nic})
	for _, proto := range []tcpip.NetworkProtocolNumber{ipv4.ProtocolNumber, ipv6.ProtocolNumber} {
		if err := ns.listen(nic, proto, port, backlog, onAccept); err != nil {
			return err
		}
	}
	return nil
}

// listen binds to the NIC, so that the same addresses and ports in two
// networks are two connections.
func (ns *netstack) listen(nic tcpip.NICID, proto tcpip.NetworkProtocolNumber, port uint16, backlog int, onAccept func()) error {
	wq := new(waiter.Queue)
	ep, err := ns.stack.NewEndpoint(tcp.ProtocolNumber, proto, wq)
	if err != nil {
		return gvisorError("make a listener", err)
	}
	ns.listeners = append(ns.listeners, ep)
	ep.SocketOptions().SetV6Only(proto == ipv6.ProtocolNumber)
	if err := ep.SocketOptions().SetBindToDevice(int32(nic)); err != nil {
		return gvisorError("bind the listener to its NIC", err)
	}
	if err := ep.Bind(tcpip.FullAddress{Port: port}); err != nil {
		return gvisorError("bind the listener", err)
	}
	entry := waiter.NewFunctionEntry(waiter.ReadableEvents, func(waiter.EventMask) { onAccept() })
	wq.EventRegister(&entry)
	if err := ep.Listen(backlog); err != nil {
		return gvisorError("listen", err)
	}
	return nil
}

// accept calls got for every connection whose handshake is done, until there
// is none left. got owns the endpoint.
func (ns *netstack) accept(got func(key flowKey, ep tcpip.Endpoint, wq *waiter.Queue)) {
	for i, l := range ns.listeners {
		for {
			ep, wq, err := l.Accept(nil)
			if err != nil {
				break // none left: the listeners stay open for the stack's life
			}
			got(endpointKey(i/2, ep), ep, wq)
		}
	}
}

// endpointKey is the flow that an accepted endpoint belongs to.
func endpointKey(network int, ep tcpip.Endpoint) flowKey {
	k := flowKey{net: uint16(network)}
	info, ok := ep.Info().(*stack.TransportEndpointInfo)
	if !ok {
		return k
	}
	remote, local := info.ID.RemoteAddress, info.ID.LocalAddress
	if remote.Len() == 16 {
		k.net |= keyIPv6
	}
	copy(k.src[16-remote.Len():], remote.AsSlice())
	copy(k.dst[16-local.Len():], local.AsSlice())
	k.port = info.ID.RemotePort
	return k
}

// close ends every endpoint and waits for gVisor's goroutines.
func (ns *netstack) close() {
	for _, l := range ns.listeners {
		l.Close()
	}
	ns.stack.Destroy()
}

// gvisorError turns gVisor's error into one that wraps like any other.
func gvisorError(op string, err tcpip.Error) error {
	return fmt.Errorf("stack: %s: %s", op, err)
}
