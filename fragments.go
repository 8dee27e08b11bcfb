package main

import (
	"sync"

	"netmirror/decap"
	"netmirror/defrag"
	"netmirror/wire"
)

// fragments puts the fragments of mirrored packets together, for all capture loops:
// the kernel leaves them to the first ring, but one that was captured together with
// other packets is where those are.
type fragments struct {
	mu    sync.Mutex // guards parts
	parts *defrag.Reassembler
}

func newFragments() *fragments {
	return &fragments{parts: defrag.New(defrag.Config{InOrder: wire.ProtoUDP})}
}

// join takes in the fragment p. It is true where nothing of its datagram is missing
// any more, or where it cannot be joined: p is then the packet to go on with, in
// memory, which is appended to. Where it is false, the fragment is kept, or dropped
// and counted.
func (f *fragments) join(p *decap.Packet, memory *[]byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.parts.Begin() // what was joined before has been copied
	joined := f.parts.Packet(p.VNI, p.IP)
	if joined == nil {
		return false
	}
	at := len(*memory)
	*memory = append(*memory, joined...)
	p.IP = (*memory)[at:len(*memory):len(*memory)]
	return true
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
