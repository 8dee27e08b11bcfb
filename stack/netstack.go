package stack

import (
	"fmt"
	"io"
	"sync"

	"gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
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

// netstack is the gVisor stack that plays the servers: one promiscuous, spoofing
// NIC and a listener for each port that connections were made to.
type netstack struct {
	stack    *stack.Stack
	link     *link
	backlog  int
	onAccept func()

	listeners []tcpip.Endpoint
	first     uint16            // the port of the first one
	byPort    map[uint16]uint16 // the port of the listener that there is for a port
}

// maxListeners bounds the listeners, which take some KiB each: a service can have all
// ports.
const maxListeners = 256

// newNetstack makes a stack whose NIC accepts TCP connections to any address at the
// ports that listen names. backlog must exceed the flows that can exist, so that SYN
// cookies, which lose the window scale, never come up. onAccept is called, from
// gVisor's goroutines, when accept has something to return.
func newNetstack(receiveBuffer, backlog int, box *mailbox, onAccept func()) (*netstack, error) {
	silenceGVisor()
	ns := &netstack{
		stack: stack.New(stack.Options{
			NetworkProtocols:   []stack.NetworkProtocolFactory{ipv6.NewProtocol},
			TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
		}),
		link: &link{box: box}, backlog: backlog, onAccept: onAccept, byPort: make(map[uint16]uint16),
	}
	err := ns.configure(receiveBuffer)
	if err == nil {
		err = ns.attach()
	}
	if err != nil {
		ns.close()
		return nil, err
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

// nicID is the number of the only NIC.
const nicID tcpip.NICID = 1

// attach makes the NIC. The server's address is one of its own, so that gVisor
// does not make and forget one for each packet, as it does for a promiscuous NIC.
func (ns *netstack) attach() error {
	if err := ns.stack.CreateNIC(nicID, ns.link); err != nil {
		return gvisorError("create NIC", err)
	}
	if err := ns.stack.SetPromiscuousMode(nicID, true); err != nil {
		return gvisorError("set promiscuous mode", err)
	}
	if err := ns.stack.SetSpoofing(nicID, true); err != nil {
		return gvisorError("set spoofing", err)
	}
	addr := tcpip.ProtocolAddress{
		Protocol:          ipv6.ProtocolNumber,
		AddressWithPrefix: tcpip.AddrFrom16(serverAddr).WithPrefix(),
	}
	if err := ns.stack.AddProtocolAddress(nicID, addr, stack.AddressProperties{}); err != nil {
		return gvisorError("add the server's address", err)
	}
	ns.stack.AddRoute(tcpip.Route{Destination: header.IPv6EmptySubnet, NIC: nicID})
	return nil
}

// listen is the port that a connection to port is to be made to: its own, for which a
// listener is made where there is none yet, or, where there are as many as there may
// be, that of another one. Which it is never changes. A port of 0 means that gVisor has
// none at all.
func (ns *netstack) listen(port uint16) uint16 {
	if at, ok := ns.byPort[port]; ok {
		return at
	}
	at := port
	if len(ns.listeners) == maxListeners || ns.addListener(port) != nil {
		at = ns.first
	} else if ns.first == 0 {
		ns.first = port
	}
	ns.byPort[port] = at
	return at
}

func (ns *netstack) addListener(port uint16) error {
	wq := new(waiter.Queue)
	ep, err := ns.stack.NewEndpoint(tcp.ProtocolNumber, ipv6.ProtocolNumber, wq)
	if err != nil {
		return gvisorError("make a listener", err)
	}
	entry := waiter.NewFunctionEntry(waiter.ReadableEvents, func(waiter.EventMask) { ns.onAccept() })
	wq.EventRegister(&entry)
	if err = ep.Bind(tcpip.FullAddress{Port: port}); err == nil {
		err = ep.Listen(ns.backlog)
	}
	if err != nil {
		ep.Close()
		return gvisorError("listen", err)
	}
	ns.listeners = append(ns.listeners, ep)
	return nil
}

// accept calls got for every connection whose handshake is done, until there
// is none left. got owns the endpoint.
func (ns *netstack) accept(got func(id clientID, ep tcpip.Endpoint, wq *waiter.Queue)) {
	for _, listener := range ns.listeners {
		acceptFrom(listener, got)
	}
}

func acceptFrom(listener tcpip.Endpoint, got func(id clientID, ep tcpip.Endpoint, wq *waiter.Queue)) {
	for {
		ep, wq, err := listener.Accept(nil)
		if err != nil {
			return // none left: the listener stays open for the stack's life
		}
		id := clientID(0)
		if info, ok := ep.Info().(*stack.TransportEndpointInfo); ok {
			remote := info.ID.RemoteAddress.As16()
			id = idOf(remote[:])
		}
		got(id, ep, wq)
	}
}

// close ends every endpoint and waits for gVisor's goroutines.
func (ns *netstack) close() {
	for _, listener := range ns.listeners {
		listener.Close()
	}
	ns.stack.Destroy()
}

// gvisorError turns gVisor's error into one that wraps like any other.
func gvisorError(op string, err tcpip.Error) error {
	return fmt.Errorf("stack: %s: %s", op, err)
}
