package netstack

import (
	"fmt"
	"io"
	"runtime"
	"sync"

	"gvisor.dev/gvisor/pkg/log"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// silenceGVisor keeps gVisor's own log, which speaks of single packets, off
// standard error. gVisor has one logger for the process.
var silenceGVisor = sync.OnceFunc(func() {
	log.SetTarget(log.GoogleEmitter{Writer: &log.Writer{Next: io.Discard}})
})

// Stack is the gVisor stack that plays the servers: one promiscuous, spoofing
// NIC and a listener for each port that connections were made to. Its methods but for
// Answers and HasAnswers are for one goroutine at a time.
type Stack struct {
	stack *stack.Stack
	link  *link
	queue segmentQueue
	box   mailbox
	cfg   Config

	listeners []tcpip.Endpoint
	first     uint16            // the port of the first one
	byPort    map[uint16]uint16 // the port of the listener that there is for a port
}

// Config says what a Stack holds, and whom it tells of news.
type Config struct {
	ReceiveBuffer int // bytes that gVisor holds unread of a connection, at the most
	// Backlog must exceed the flows that can exist, so that SYN cookies, which lose
	// the window scale, never come up.
	Backlog int
	// OnAnswer and OnAccept are called when Answers and Accept have something to
	// return, from gVisor's goroutines or from within Deliver. They must not block.
	OnAnswer, OnAccept func()
}

// MaxListeners bounds the listeners, which take some KiB each: a service can have all
// ports.
const MaxListeners = 256

// New makes a stack whose NIC accepts TCP connections at the ports that Listen names.
// Close ends it.
func New(cfg Config) (*Stack, error) {
	silenceGVisor()
	s := &Stack{cfg: cfg, link: new(link), byPort: make(map[uint16]uint16)}
	s.box.post = cfg.OnAnswer
	s.stack = newStack(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{newNetwork(&s.box)},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	// As gVisor's own demultiplexer does.
	s.queue = s.stack.TransportProtocolInstance(tcp.ProtocolNumber).(segmentQueue)
	err := s.configure(cfg.ReceiveBuffer)
	if err == nil {
		err = s.attach()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// starting guards GOMAXPROCS while a stack is made.
var starting sync.Mutex

// newStack makes a stack whose TCP has one processor goroutine. There would be one for each
// core that the runtime uses. What comes in a batch is then ready for its readers at
// once: with several, each would wake the bridge by itself, after the bridge has looked. Nobody
// else may change GOMAXPROCS meanwhile.
func newStack(o stack.Options) *stack.Stack {
	starting.Lock()
	defer starting.Unlock()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	return stack.New(o)
}

// Deliver hands gVisor a segment, whose payload may be in pieces. They are only read; gVisor
// may keep them by references of its own.
func (s *Stack) Deliver(seg Segment, payload []Payload) {
	n := 0
	for _, p := range payload {
		n += p.Len()
	}
	s.link.deliver(packetOf(seg.header(n), payload))
}

// Answers returns the answers so far and takes spare, emptied, to collect more.
func (s *Stack) Answers(spare []Answer) []Answer { return s.box.swap(spare) }

// HasAnswers reports whether Answers would return some.
func (s *Stack) HasAnswers() bool { return !s.box.empty() }

func (s *Stack) configure(receiveBuffer int) error {
	buf := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4096, Default: receiveBuffer, Max: receiveBuffer}
	// A buffer that is tuned upwards would make the memory of a flow depend
	// on its history.
	moderate := tcpip.TCPModerateReceiveBufferOption(false)
	sack := tcpip.TCPSACKEnabled(false)
	for _, opt := range []tcpip.SettableTransportProtocolOption{&buf, &moderate, &sack} {
		if err := s.stack.SetTransportProtocolOption(tcp.ProtocolNumber, opt); err != nil {
			return gvisorError(fmt.Sprintf("set TCP option %T", opt), err)
		}
	}
	return nil
}

// nicID is the number of the only NIC.
const nicID tcpip.NICID = 1

// attach makes the NIC. The server's address is one of its own, so that gVisor
// does not make and forget one for each packet, as it does for a promiscuous NIC.
func (s *Stack) attach() error {
	if err := s.stack.CreateNIC(nicID, s.link); err != nil {
		return gvisorError("create NIC", err)
	}
	if err := s.stack.SetPromiscuousMode(nicID, true); err != nil {
		return gvisorError("set promiscuous mode", err)
	}
	if err := s.stack.SetSpoofing(nicID, true); err != nil {
		return gvisorError("set spoofing", err)
	}
	addr := tcpip.ProtocolAddress{
		Protocol:          ipv4.ProtocolNumber,
		AddressWithPrefix: tcpip.AddrFrom4(serverAddr).WithPrefix(),
	}
	if err := s.stack.AddProtocolAddress(nicID, addr, stack.AddressProperties{}); err != nil {
		return gvisorError("add the server's address", err)
	}
	s.stack.AddRoute(tcpip.Route{Destination: header.IPv4EmptySubnet, NIC: nicID})
	return nil
}

// Listen returns the port to which a virtual client connects for port: port itself, if it has
// a listener, or one can be made. With MaxListeners listeners, it is another listener's port.
// The answer for a port never changes. 0 means that gVisor has no listener at all.
func (s *Stack) Listen(port uint16) uint16 {
	if at, ok := s.byPort[port]; ok {
		return at
	}
	at := port
	if len(s.listeners) == MaxListeners || s.addListener(port) != nil {
		at = s.first
	} else if s.first == 0 {
		s.first = port
	}
	s.byPort[port] = at
	return at
}

func (s *Stack) addListener(port uint16) error {
	wq := new(waiter.Queue)
	ep, err := s.stack.NewEndpoint(tcp.ProtocolNumber, ipv4.ProtocolNumber, wq)
	if err != nil {
		return gvisorError("make a listener", err)
	}
	entry := waiter.NewFunctionEntry(waiter.ReadableEvents, func(waiter.EventMask) { s.cfg.OnAccept() })
	wq.EventRegister(&entry)
	if err = ep.Bind(tcpip.FullAddress{Port: port}); err == nil {
		err = ep.Listen(s.cfg.Backlog)
	}
	if err != nil {
		ep.Close()
		return gvisorError("listen", err)
	}
	s.listeners = append(s.listeners, ep)
	return nil
}

// Accept calls got for every connection whose handshake is done. got owns the endpoint.
func (s *Stack) Accept(got func(ClientID, *Endpoint)) {
	for _, listener := range s.listeners {
		s.acceptFrom(listener, got)
	}
}

func (s *Stack) acceptFrom(listener tcpip.Endpoint, got func(ClientID, *Endpoint)) {
	for {
		ep, wq, err := listener.Accept(nil)
		if err != nil {
			return // none left: the listener stays open for the stack's life
		}
		e := s.newEndpoint(ep, wq)
		got(idOf(e.id.RemoteAddress.AsSlice(), e.id.RemotePort), e)
	}
}

// Close ends every endpoint and waits for gVisor's goroutines.
func (s *Stack) Close() {
	for _, listener := range s.listeners {
		listener.Close()
	}
	s.stack.Destroy()
}

// Counts are figures of a Stack, for tests and benchmarks.
type Counts struct {
	Connected  uint64 // connections
	Registered int    // endpoints, with the listeners
	Closing    int    // endpoints that wait to be cleaned up
	SYNCookies uint64 // sent so far
	Segments   uint64 // delivered so far, and valid
}

// Counts returns the figures.
func (s *Stack) Counts() Counts {
	tcp := s.stack.Stats().TCP
	return Counts{
		Connected: tcp.CurrentConnected.Value(), Registered: len(s.stack.RegisteredEndpoints()),
		Closing: len(s.stack.CleanupEndpoints()), SYNCookies: tcp.ListenOverflowSynCookieSent.Value(),
		Segments: tcp.ValidSegmentsReceived.Value(),
	}
}

// gvisorError turns gVisor's error into one that wraps like any other.
func gvisorError(op string, err tcpip.Error) error {
	return fmt.Errorf("netstack: %s: %s", op, err)
}
