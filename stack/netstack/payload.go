package netstack

import (
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
)

// Payload is bytes in memory that gVisor may share: it is delivered without a copy. The
// zero value has none.
type Payload struct{ view *buffer.View }

// NewPayload copies b.
func NewPayload(b []byte) Payload { return Payload{buffer.NewViewWithData(b)} }

// Bytes aliases the bytes.
func (p Payload) Bytes() []byte { return p.view.AsSlice() }

// Len is how many bytes there are, Cap how many the memory holds, and Free how many can
// be appended.
func (p Payload) Len() int  { return p.view.Size() }
func (p Payload) Cap() int  { return p.view.Capacity() }
func (p Payload) Free() int { return p.view.AvailableSize() }

// Append copies b, which must fit into what is free, behind the bytes.
func (p Payload) Append(b []byte) { _, _ = p.view.Write(b) } // it has no error to return

// TrimFront cuts off the first n bytes.
func (p Payload) TrimFront(n int) { p.view.TrimFront(n) }

// Grow copies the bytes to memory for size bytes.
func (p *Payload) Grow(size int) {
	view := buffer.NewView(size)
	_, _ = view.Write(p.view.AsSlice())
	p.view.Release()
	p.view = view
}

// Release lets the memory go, which gVisor may still hold. p is empty afterwards.
func (p *Payload) Release() {
	if p.view != nil {
		p.view.Release()
		p.view = nil
	}
}

// Checksum is the Internet checksum (RFC 1071) of b, not complemented, on top of
// initial.
func Checksum(b []byte, initial uint16) uint16 { return checksum.Checksum(b, initial) }
