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

	"netmirror/outcome"
)

// Endpoint is the server's end of one virtual client's connection. Its methods are for one
// goroutine at a time.
type Endpoint struct {
	ep    tcpip.Endpoint
	id    stack.TransportEndpointID
	queue segmentQueue
	entry waiter.Entry
	news  atomic.Pointer[func()] // OnReadable's
	into  sink                   // of a read
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

// Read is TryPass of outcome.Stream: t may be nil. The error is ErrWait if there is nothing yet.
func (e *Endpoint) Read(p []byte, t outcome.Taker) (taken, n int, err error) {
	e.into = sink{p: p, t: t}
	_, failure := e.ep.Read(&e.into, tcpip.ReadOptions{})
	taken, n = e.into.taken, e.into.n
	refused := e.into.refused
	e.into = sink{}
	switch failure.(type) {
	case nil:
		return taken, n, nil
	case *tcpip.ErrWouldBlock:
		return 0, 0, ErrWait
	case *tcpip.ErrBadBuffer: // what gVisor says where nothing was taken
		if refused {
			return 0, 0, nil
		}
	}
	return 0, 0, gvisorError("read", failure)
}

// sink is where a read puts what gVisor has.
type sink struct {
	p       []byte
	n       int           // bytes in p
	t       outcome.Taker // nil: all is copied
	taken   int           // bytes that t has taken
	refused bool          // t has not taken all that it was offered
}

// Write is called by gVisor with a piece, which it lets go of as far as it was taken.
func (s *sink) Write(b []byte) (n int, err error) {
	if s.t != nil {
		if n = s.t.Take(b); n == outcome.Copy {
			s.t = nil
		}
	}
	if s.t != nil {
		s.taken += n
		s.refused = n < len(b)
	} else {
		n = copy(s.p[s.n:], b)
		s.n += n
	}
	if n < len(b) {
		err = io.ErrShortWrite
	}
	return n, err
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
