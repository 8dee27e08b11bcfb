package stack

import (
	"encoding/binary"
	"sync"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// answer is what one packet of gVisor's TCP says to its virtual client.
type answer struct {
	to     clientID
	from   uint16 // the port
	seq    uint32
	ack    uint32
	window uint16 // as in the header, not scaled
	scale  uint8  // of a SYN-ACK
	flags  uint8
}

// mailbox collects the answers. It has a lock of its own because gVisor
// answers from its goroutines as well as, for a stray segment, from within an
// injection.
type mailbox struct {
	mu   sync.Mutex
	in   []answer // guarded by mu
	post func()   // called without mu after each answer; must not block
}

func (m *mailbox) put(a answer) {
	m.mu.Lock()
	m.in = append(m.in, a)
	m.mu.Unlock()
	m.post()
}

// swap returns the answers so far and takes spare, emptied, to collect more.
func (m *mailbox) swap(spare []answer) []answer {
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
// Nothing goes further than the mailbox.
type link struct {
	box        *mailbox
	dispatcher stack.NetworkDispatcher // set once, before the first packet
}

var _ stack.LinkEndpoint = (*link)(nil)

// deliver injects one packet. It takes over head, which gVisor writes to;
// payload, nil for none, is only read, and may be kept by gVisor through
// references of its own.
func (l *link) deliver(head, payload *buffer.View) {
	var data buffer.Buffer
	if payload != nil {
		data = buffer.MakeWithView(payload.Clone())
	}
	// In views of their own, so that gVisor, which copies what it shares before
	// it looks into it, copies no payload. The error is for views that are full.
	_ = data.Prepend(head)
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: data})
	l.dispatcher.DeliverNetworkPacket(header.IPv6ProtocolNumber, pkt)
	pkt.DecRef()
}

// WritePackets learns from gVisor's TCP segments. Whatever else it sends
// (neighbour discovery, group membership) concerns nobody.
func (l *link) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	for _, pkt := range pkts.AsSlice() {
		tcp := header.TCP(pkt.TransportHeader().Slice())
		if pkt.TransportProtocolNumber == header.TCPProtocolNumber && len(tcp) >= tcpHeaderLen {
			l.read(pkt, tcp)
		}
	}
	return pkts.Len(), nil
}

func (l *link) read(pkt *stack.PacketBuffer, tcp header.TCP) {
	a := answer{
		to:     idOf(pkt.NetworkHeader().Slice()[24:40]),
		from:   tcp.SourcePort(),
		seq:    tcp.SequenceNumber(),
		ack:    tcp.AckNumber(),
		window: tcp.WindowSize(),
		flags:  uint8(tcp.Flags()),
	}
	if a.flags&flagSYN != 0 {
		opts := header.ParseSynOptions(tcp.Options(), true)
		a.scale = uint8(max(opts.WS, 0))
	}
	l.box.put(a)
}

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

// clientID is a virtual client's address in gVisor. It is only a key: every
// attempt to open an endpoint has one of its own, so that no two connections ever
// meet on one address, whatever addresses the mirrored ones have.
type clientID uint64

// serverAddr is the address that all virtual clients connect to, and theirs but
// for the last 8 bytes, which are the clientID. Both are of the prefix for local
// use (RFC 4193).
var serverAddr = [16]byte{0xfd}

// idOf undoes the address of a clientID.
func idOf(addr []byte) clientID { return clientID(binary.BigEndian.Uint64(addr[8:16])) }

// clientPort is the port of every virtual client.
const clientPort = 1024

// packetHeader builds the IP and TCP headers of a virtual client's packet with
// n payload bytes. The segment carries no TCP option but those in opts;
// checksums are left out.
func packetHeader(id clientID, port uint16, seq, ack uint32, flags uint8, opts []byte, n int) *buffer.View {
	tcpLen := tcpHeaderLen + len(opts)
	view := buffer.NewViewSize(ipv6HeaderLen + tcpLen) // zeroed
	ip := view.AsSlice()
	ip[0] = 0x60
	binary.BigEndian.PutUint16(ip[4:], uint16(tcpLen+n))
	ip[6], ip[7] = uint8(header.TCPProtocolNumber), 64
	copy(ip[8:], serverAddr[:8])
	binary.BigEndian.PutUint64(ip[16:], uint64(id))
	copy(ip[24:], serverAddr[:])
	tcp := ip[ipv6HeaderLen:]
	binary.BigEndian.PutUint16(tcp[0:], clientPort)
	binary.BigEndian.PutUint16(tcp[2:], port)
	binary.BigEndian.PutUint32(tcp[4:], seq)
	binary.BigEndian.PutUint32(tcp[8:], ack)
	tcp[12], tcp[13] = uint8(tcpLen/4)<<4, flags
	binary.BigEndian.PutUint16(tcp[14:], 65535)
	copy(tcp[tcpHeaderLen:], opts)
	return view
}
