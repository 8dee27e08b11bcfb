package netstack

import (
	"errors"
	"io"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Endpoint is the server's end of one virtual client's connection. Its methods are for one
// goroutine at a time.
type Endpoint struct {
	ep    tcpip.Endpoint
	id    stack.TransportEndpointID
	queue segmentQueue
	entry waiter.Entry
	news  atomic.Pointer[func()] // OnReadable's
	into  tcpip.SliceWriter      // of a read
}

// ErrWait says that there is nothing to return yet.
var ErrWait = errors.New("netstack: not ready")

const readable = waiter.ReadableEvents | waiter.EventHUp | waiter.EventErr

func (s *Stack) newEndpoint(ep tcpip.Endpoint, wq *waiter.Queue) *Endpoint {
	e := &Endpoint{ep: ep, id: ep.Info().(*stack.TransportEndpointInfo).ID, queue: s.queue}
	e.entry.Init(e, readable)
	wq.EventRegister(&e.entry)
	return e
}

// OnReadable registers f in place of an earlier one; nil for none. It is called when Read may
// have something new, by any goroutine, and must not block.
func (e *Endpoint) OnReadable(f func()) {
	if f == nil {
		e.news.Store(nil)
		return
	}
	e.news.Store(&f)
}

// NotifyEvent implements waiter.EventListener.
func (e *Endpoint) NotifyEvent(waiter.EventMask) {
	if news := e.news.Load(); news != nil {
		(*news)()
	}
}

// Read returns ErrWait if there is nothing yet.
func (e *Endpoint) Read(p []byte) (int, error) {
	e.into = p
	res, err := e.ep.Read(&e.into, tcpip.ReadOptions{})
	e.into = nil
	switch err.(type) {
	case nil:
		return res.Count, nil
	case *tcpip.ErrWouldBlock:
		return 0, ErrWait
	}
	return 0, gvisorError("read", err)
}

// Drain writes all that there is to w.
func (e *Endpoint) Drain(w io.Writer) {
	_, err := e.ep.Read(w, tcpip.ReadOptions{})
	for err == nil {
		_, err = e.ep.Read(w, tcpip.ReadOptions{})
	}
}

// segmentQueue is what gVisor's demultiplexer gives the segments of TCP to.
type segmentQueue interface {
	QueuePacket(stack.TransportEndpoint, stack.TransportEndpointID, *stack.PacketBuffer)
}

// Deliver is Stack.Deliver for a segment of the endpoint's virtual client. It spares gVisor
// the way through its network layer, and the look for the endpoint.
func (e *Endpoint) Deliver(seg Segment, payload []Payload) {
	pkt := packetOf(seg.header(0), payload) // nobody reads the length there
	pkt.NetworkProtocolNumber, pkt.TransportProtocolNumber = header.IPv4ProtocolNumber, header.TCPProtocolNumber
	pkt.RXChecksumValidated = true
	pkt.NetworkHeader().Consume(ipv4HeaderLen)
	pkt.TransportHeader().Consume(tcpHeaderLen + len(seg.Options))
	e.queue.QueuePacket(e.ep.(stack.TransportEndpoint), e.id, pkt)
	pkt.DecRef()
}

// Idle reports whether the connection is there and nothing of it is unread.
func (e *Endpoint) Idle() bool {
	return tcp.EndpointState(e.ep.State()) == tcp.StateEstablished && e.Queued() == 0
}

// Queued is how many bytes can be read at this moment.
func (e *Endpoint) Queued() int {
	n, err := e.ep.GetSockOptInt(tcpip.ReceiveQueueSizeOption)
	if err != nil {
		return 0
	}
	return n
}

// Abort takes the endpoint out of gVisor at once: a close in good order would wait for
// acknowledgements that nobody sends.
func (e *Endpoint) Abort() { e.ep.Abort() }
