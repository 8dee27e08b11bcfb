package pipeline

import (
	"sync"
	"time"

	"netmirror/decap"
	"netmirror/defrag"
)

// fragments puts fragments together, for all capture loops: those of a datagram may
// come by several. There is one of the mirror's packets, where a source has not joined
// them, and one of the mirrored packets, which the kernel leaves to the first ring, but
// for those that were captured together with other packets.
type fragments struct {
	mu    sync.Mutex // guards parts
	parts *defrag.Reassembler
}

// newFragments is for those that c is for, by the pipeline's clock.
func newFragments(c defrag.Config, now func() time.Time) *fragments {
	c.Now = now
	return &fragments{parts: defrag.New(c)}
}

// joinFrame takes in a frame that is a fragment of one of the mirror's packets. It is
// nil where the fragment is kept, or dropped and counted; else the frame to go on with,
// which is in memory, that is appended to, or could not be joined.
func (f *fragments) joinFrame(frame []byte, memory *[]byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.parts.Begin() // what was joined before has been copied
	return appended(memory, f.parts.Frame(frame))
}

// join takes in the fragment p. It is true where nothing of its datagram is missing
// any more, or where it cannot be joined: p is then the packet to go on with, in
// memory, which is appended to. Where it is false, the fragment is kept, or dropped
// and counted.
func (f *fragments) join(p *decap.Packet, memory *[]byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.parts.Begin()
	joined := f.parts.Packet(p.VNI, p.IP)
	if joined == nil {
		return false
	}
	p.IP = appended(memory, joined)
	return true
}

// appended is a copy of b, at the end of memory; nil for nil.
func appended(memory *[]byte, b []byte) []byte {
	if b == nil {
		return nil
	}
	at := len(*memory)
	*memory = append(*memory, b...)
	return (*memory)[at:len(*memory):len(*memory)]
}

// expire drops what has waited too long.
func (f *fragments) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.parts.Begin()
}

// flush drops all that waits: nothing more will come.
func (f *fragments) flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.parts.Flush()
}

func (f *fragments) stats() defrag.Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.parts.Stats()
}
