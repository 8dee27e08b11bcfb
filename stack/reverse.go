package stack

// reverse learns from what the server sent, where the mirror carries that too.
// It is evidence only: everything works without.
func (s *Stack) reverse(m *Segment, seg *segment) {
	s.counters.dropped[DropReverse]++ // its bytes are no client's
	f := s.flows[seg.key]
	if f != nil {
		f.seen = s.now
	}
	// Most segments say nothing new, so that their checksum does not matter.
	news := seg.flags&(flagSYN|flagRST) != 0 || f != nil && f.state != parked && seqLess(f.serverAck, seg.ack)
	if !news || m.Truncated || !s.cfg.Checksums.sound(m.IP, m.TCP) {
		return
	}
	switch {
	case seg.flags&flagRST != 0:
		s.serverReset(f, seg)
	case seg.flags&(flagSYN|flagACK) == flagSYN|flagACK:
		s.serverAccepted(f, seg)
	default:
		s.serverHas(f, seg)
	}
}

// serverHas notes what the server has acknowledged.
func (s *Stack) serverHas(f *flow, seg *segment) {
	if seg.flags&flagACK != 0 && f.state != parked && seg.ack-f.floor() < maxWindow {
		f.serverAck = seg.ack
		f.sentUpTo(seg.ack)
		s.touch(f)
	}
}

// serverAccepted takes a SYN-ACK: it knows the client's sequence number, also
// where the SYN was lost.
func (s *Stack) serverAccepted(f *flow, seg *segment) {
	switch {
	case f == nil:
		known, ok := s.stubs.get(&seg.key, s.now)
		if !ok || known.kind != halfOpen && !known.seen().has(seg.ack-1) && !known.began(seg.ack, s.now) {
			s.remember(&seg.key, seg.ack)
		}
	case f.state == parked && !f.hasBase && !f.past.has(seg.ack-1):
		s.unpark(f, seg.ack)
	}
}

// serverReset ends the flow when everything up to it has been delivered.
func (s *Stack) serverReset(f *flow, seg *segment) {
	if f == nil {
		known, ok := s.stubs.get(&seg.key, s.now)
		switch {
		case !ok, known.kind == halfOpen && seg.ack != known.base:
		case known.kind == halfOpen:
			s.stubs.remove(&seg.key) // refused
		default:
			s.stubs.put(&seg.key, known.ended(known.end), s.now)
		}
		return
	}
	// A stray one is of another connection on these ports, and far away.
	far := seg.seq - f.clientAck
	switch {
	case f.newer != nil || far >= maxWindow && -far >= maxWindow:
	case f.state == parked:
		f.ending, f.reason = true, EndServerReset
	default:
		s.serverHas(f, seg) // the client's last bytes may come behind it
		s.endWhenDelivered(f, EndServerReset)
	}
}
