package netstack

import (
	"errors"
	"io"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/waiter"
)

// Endpoint is the server's end of one virtual client's connection. Its methods are for one
// goroutine at a time.
type Endpoint struct {
	ep    tcpip.Endpoint
	wq    *waiter.Queue
	entry waiter.Entry
	news  func()            // OnReadable's; guarded by wq
	into  tcpip.SliceWriter // of a read
}

// ErrWait says that there is nothing to return yet.
var ErrWait = errors.New("netstack: not ready")

const readable = waiter.ReadableEvents | waiter.EventHUp | waiter.EventErr

// OnReadable registers f, in place of an earlier one. It is called when Read may have something
// new, by any goroutine, and must not block.
func (e *Endpoint) OnReadable(f func()) {
	if e.news != nil {
		e.wq.EventUnregister(&e.entry)
	}
	e.news = f
	e.entry.Init(e, readable)
	e.wq.EventRegister(&e.entry)
}

// NotifyEvent implements waiter.EventListener.
func (e *Endpoint) NotifyEvent(waiter.EventMask) { e.news() }

// Ready reports whether Read would return something.
func (e *Endpoint) Ready() bool { return e.ep.Readiness(waiter.ReadableEvents) != 0 }

// Read returns ErrWait if there is nothing yet, and io.EOF behind the FIN.
func (e *Endpoint) Read(p []byte) (int, error) {
	e.into = p
	res, err := e.ep.Read(&e.into, tcpip.ReadOptions{})
	e.into = nil
	switch err.(type) {
	case nil:
		return res.Count, nil
	case *tcpip.ErrWouldBlock:
		return 0, ErrWait
	case *tcpip.ErrClosedForReceive:
		return 0, io.EOF
	}
	return 0, gvisorError("read", err)
}

// Drain writes all that there is to w, and reports whether the FIN is behind it.
func (e *Endpoint) Drain(w io.Writer) (fin bool) {
	_, err := e.ep.Read(w, tcpip.ReadOptions{})
	for err == nil {
		_, err = e.ep.Read(w, tcpip.ReadOptions{})
	}
	_, fin = err.(*tcpip.ErrClosedForReceive)
	return fin
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
