package tap

import (
	"golang.org/x/sys/unix"

	"netmirror/link"
)

// readEvery is after how many blocks the kernel's counters are read though
// nobody asks: they have 32 bits.
const readEvery = 1024

// Stats gives the counters. After Close they are those of its moment.
func (r *Ring) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readKernel()
	down := r.down()
	s := r.stats
	s.Waiting, s.Room = r.backlog()
	s.Mapped = r.mapped()
	if down {
		s.Down = []string{r.cfg.Interface}
	}
	return s
}

// down says whether nothing can arrive. The socket is told that the interface goes down, but not
// that it loses its carrier. So that is asked for here: whoever wants to know reads the counters
// now and then anyway. Only the first of several rings asks. r.mu is held.
func (r *Ring) down() bool {
	if r.linkDown.Load() {
		return true
	}
	if r.closed || r.group.index == 0 || r != r.group.rings[0] {
		return false
	}
	up, err := link.Up(r.fd, r.group.index)
	lost := !up && err == nil // that it is gone ends the capture
	if lost && !r.unplugged {
		r.stats.LinkDowns++
	}
	r.unplugged = lost
	return lost
}

// mapped is how many bytes are shared with the kernel. r.mu is held.
func (r *Ring) mapped() int {
	if s := r.spare(); s != nil && !r.closed {
		return len(r.mem) + len(s.mem)
	}
	return len(r.mem)
}

// captured is how many packets the kernel has put into the ring.
func (r *Ring) captured() uint64 {
	s := r.Stats()
	return s.Packets - s.Drops
}

// readKernel adds the kernel's counters, which reading sets to zero. r.mu is
// held.
func (r *Ring) readKernel() {
	if r.closed {
		return
	}
	// Where it fails, the counters stay in the kernel for the next time.
	if st, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		r.stats.Packets += uint64(st.Packets)
		r.stats.Drops += uint64(st.Drops)
		r.stats.Freezes += uint64(st.Freeze_q_cnt)
	}
	s := r.spare()
	if s == nil {
		return
	}
	// What the spare ring has taken in counts when it is read.
	if st, err := unix.GetsockoptTpacketStatsV3(s.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		r.stats.Packets += uint64(st.Drops)
		r.stats.Drops += uint64(st.Drops)
		r.stats.Freezes += uint64(st.Freeze_q_cnt)
	}
}

// countSpared counts the packets of a block of the spare ring.
func (r *Ring) countSpared(packets uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Packets += uint64(packets)
}

// publish counts a batch.
func (r *Ring) publish(w walker, frames [][]byte) {
	var bytes uint64
	for _, f := range frames {
		bytes += uint64(len(f))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Frames += uint64(len(frames))
	r.stats.Bytes += bytes
	r.stats.Cut += w.cut
	r.stats.Malformed += w.malformed
	r.stats.SplitStats = r.splitter.stats
	r.stats.FragmentStats = r.fragments.Stats()
	r.batches++
	if r.batches%readEvery == 0 {
		r.readKernel()
	}
}

// countLinkDown counts that the interface went down, once.
func (r *Ring) countLinkDown() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.unplugged {
		r.stats.LinkDowns++
	}
	r.unplugged = false
}
