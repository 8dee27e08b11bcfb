package pipeline

import (
	"sync"
	"time"

	"netmirror/decap"
	"netmirror/defrag"
)

// fragments joins fragments for all capture loops, because those of one datagram may come
// by several. One joins the mirror's packets that a source has not joined. The other joins
// mirrored packets: the kernel leaves their fragments to the first ring, except those that
// were captured as one with other packets.
type fragments struct {
	mu    sync.Mutex // guards parts
	parts *defrag.Reassembler
}

// newFragments joins the fragments that c selects. now is the pipeline's clock.
func newFragments(c defrag.Config, now func() time.Time) *fragments {
	c.Now = now
	return &fragments{parts: defrag.New(c)}
}

// joinFrame takes in a frame that is a fragment of one of the mirror's packets. It returns
// nil if the fragment is kept, or dropped and counted. Otherwise it appends to memory, and
// returns, the frame to go on with: the joined one, or one that cannot be joined.
func (f *fragments) joinFrame(frame []byte, memory *[]byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.parts.Begin() // what was joined before has been copied
	return appended(memory, f.parts.Frame(frame))
}

// join takes in the fragment p. It is true if nothing of its datagram is missing any more,
// or if it cannot be joined: p is then the packet to go on with, which join has appended to
// memory. If it is false, the fragment is kept, or dropped and counted.
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
