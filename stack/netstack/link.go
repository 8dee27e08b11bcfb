package netstack

import (
	"sync"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Answer is what one packet of gVisor's TCP says to its virtual client.
type Answer struct {
	To     ClientID
	From   uint16 // the listener's port
	Seq    uint32
	Ack    uint32
	Window uint16 // as in the header, not scaled
	Scale  uint8  // of a SYN-ACK
	Flags  uint8
}

// mailbox collects the answers. It has a lock of its own because gVisor
// answers from its goroutines as well as, for a stray segment, from within an
// injection.
type mailbox struct {
	mu   sync.Mutex
	in   []Answer // guarded by mu
	post func()   // called without mu after each answer; must not block
}

func (m *mailbox) put(a Answer) {
	m.mu.Lock()
	m.in = append(m.in, a)
	m.mu.Unlock()
	m.post()
}

// swap returns the answers so far and takes spare, emptied, to collect more.
func (m *mailbox) swap(spare []Answer) []Answer {
	m.mu.Lock()
	got := m.in
	m.in = spare[:0]
	m.mu.Unlock()
	return got
}

func (m *mailbox) empty() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.in) == 0
}

// link is the virtual cable between the virtual clients and the gVisor NIC.
type link struct {
	dispatcher stack.NetworkDispatcher // set once, before the first packet
}

var _ stack.LinkEndpoint = (*link)(nil)

// packetOf makes a packet of a header, which it takes over and gVisor writes to, and a payload,
// which is only read, and may be kept by gVisor through references of its own.
func packetOf(head *buffer.View, payload []Payload) *stack.PacketBuffer {
	// All in views of their own, so that gVisor, which copies what it shares before
	// it looks into it, copies no payload. The errors are for views that are full.
	var data buffer.Buffer
	for i, p := range payload {
		if i == 0 {
			data = buffer.MakeWithView(p.view.Clone())
			continue
		}
		_ = data.Append(p.view.Clone()) // it shares its memory, as the one before
	}
	_ = data.Prepend(head)
	return stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: data})
}

// deliver injects one packet.
func (l *link) deliver(pkt *stack.PacketBuffer) {
	l.dispatcher.DeliverNetworkPacket(header.IPv4ProtocolNumber, pkt)
	pkt.DecRef()
}

// WritePackets drops what is not TCP's: networkEndpoint has that.
func (l *link) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) { return pkts.Len(), nil }

func (l *link) Attach(d stack.NetworkDispatcher) { l.dispatcher = d }
func (l *link) IsAttached() bool                 { return l.dispatcher != nil }

// MTU is the largest there is: the segment size that gVisor derives from it
// bounds its first receive window.
func (*link) MTU() uint32 { return 65535 }

// Capabilities says that checksums are judged here: a mirrored packet may
// hold none that is right.
func (*link) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityRXChecksumOffload | stack.CapabilityTXChecksumOffload
}

func (*link) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }
func (*link) AddHeader(*stack.PacketBuffer)           {}
func (*link) ParseHeader(*stack.PacketBuffer) bool    { return true }
func (*link) LinkAddress() tcpip.LinkAddress          { return "" }
func (*link) SetLinkAddress(tcpip.LinkAddress)        {}
func (*link) SetMTU(uint32)                           {}
func (*link) MaxHeaderLength() uint16                 { return 0 }
func (*link) Wait()                                   {}
func (*link) Close()                                  {}
func (*link) SetOnCloseAction(func())                 {}
