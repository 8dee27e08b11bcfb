package capfile

import (
	"cmp"
	"container/heap"
	"time"
)

// A program that captures on several interfaces reads each of them at intervals:
// dumpcap, 250 ms apart at most. What it writes is in order for each, but not for all.
const (
	maxDisorder  = time.Second // how far behind another a packet may come
	maxSorted    = 16 << 20    // bytes that are held for that
	heldOverhead = 128         // bytes that a packet takes beside its data, about
)

// sorter returns the packets of a pcapng file of several interfaces in the order of their
// times. It holds packets of 1 s, at most 16 MiB and one packet, and keeps as much freed
// memory for reuse. A packet that is further behind shows that the clock was set back; it
// keeps its place in the file.
type sorter struct {
	file  *pcapng
	queue held
	free  []*heldPacket
	given *heldPacket // whose memory the caller has
	bytes int         // in the queue
	spare int         // bytes in free
	err   error       // how the file ended

	seq    uint64    // of the last packet that was read
	epoch  uint64    // how often the clock was set back
	newest time.Time // that was read in this epoch
}

// heldPacket is a packet in memory of its own.
type heldPacket struct {
	Packet
	seq, epoch uint64
}

// next implements format.
func (s *sorter) next(p *Packet) error {
	s.release()
	for s.err == nil && !s.due() {
		if s.err = s.file.next(p); s.err != nil {
			break
		}
		if len(s.queue) == 0 && len(s.file.ifaces) < 2 {
			return nil
		}
		s.hold(p)
	}
	if len(s.queue) == 0 {
		return s.err
	}
	s.given = heap.Pop(&s.queue).(*heldPacket)
	s.bytes -= s.given.size()
	*p = s.given.Packet
	return nil
}

// release takes back the memory of the packet that was returned last.
func (s *sorter) release() {
	if s.given != nil && s.spare < maxSorted {
		s.free = append(s.free, s.given)
		s.spare += s.given.size()
	}
	s.given = nil
}

// due reports whether no packet that is still to come can belong in front of the first one.
func (s *sorter) due() bool {
	if len(s.queue) == 0 {
		return false
	}
	first := s.queue[0]
	return s.bytes >= maxSorted || first.epoch < s.epoch || s.newest.Sub(first.Time) >= maxDisorder
}

// hold puts a copy of the packet into the queue.
func (s *sorter) hold(p *Packet) {
	if s.newest.Sub(p.Time) > maxDisorder {
		s.epoch++
		s.newest = p.Time
	} else if p.Time.After(s.newest) {
		s.newest = p.Time
	}
	h := s.memory()
	s.seq++
	data := append(h.Data[:0], p.Data...)
	h.Packet, h.seq, h.epoch = *p, s.seq, s.epoch
	h.Data = data
	s.bytes += h.size()
	heap.Push(&s.queue, h)
}

// memory returns a used packet's memory, or new memory.
func (s *sorter) memory() *heldPacket {
	n := len(s.free)
	if n == 0 {
		return new(heldPacket)
	}
	h := s.free[n-1]
	s.free = s.free[:n-1]
	s.spare -= h.size()
	return h
}

// size is about how much memory the packet takes.
func (h *heldPacket) size() int { return cap(h.Data) + heldOverhead }

// held is a heap of packets.
type held []*heldPacket

func (h held) Len() int      { return len(h) }
func (h held) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h held) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[i].epoch, h[j].epoch), h[i].Time.Compare(h[j].Time), cmp.Compare(h[i].seq, h[j].seq)) < 0
}
func (h *held) Push(x any) { *h = append(*h, x.(*heldPacket)) }
func (h *held) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return x
}
