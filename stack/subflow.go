package stack

import (
	"time"

	"netmirror/outcome"
)

// fromSubflow takes a client's segment of a TCP connection that speaks MPTCP, or did.
// What belongs to the data of a known MPTCP connection goes to that connection's flow,
// with data sequence numbers. What is no MPTCP goes on as it is.
func (s *Stack) fromSubflow(seg *segment) {
	var o mptcpOptions
	o.read(seg.options)
	known, next := s.subflow(&seg.key)
	switch {
	case seg.flags&flagSYN != 0:
		s.subflowSYN(seg, &o, known, next)
	case next != nil && s.begins(next, known, seg, &o):
		s.subflowBegins(seg, &o, next)
	case known != nil:
		s.ofSubflow(known, seg, &o)
	case o.keys == 2 && (o.length == 0 && len(seg.payload) == 0 || int(o.length) == len(seg.payload)):
		// The SYN was lost. Only where the option maps all of the segment it is known
		// which of the connection's segments it is.
		s.subflowBegins(seg, &o, s.newSubflow(&seg.key, candidate, seg.seq-1))
	case o.present && (!o.capable || o.keys == 2):
		if next == nil && !s.follows(&seg.key) { // else it is none of that connection's
			s.proven(&seg.key, &subflow{kind: orphan})
		}
		s.drop(seg, outcome.DropSubflow)
	default:
		s.toFlow(seg)
	}
}

// begins reports whether a segment goes on behind the SYN of next. Where the ports are
// in use, a forged SYN must not take their connection over.
func (s *Stack) begins(next, known *subflow, seg *segment, o *mptcpOptions) bool {
	if known == nil && s.flows[seg.key] == nil {
		return within(seg.seq, next.isn+1, nearby)
	}
	return seg.seq == next.isn+1 && (o.present || next.kind == plainTCP || next.kind == candidate)
}

// subflowSYN takes a client's SYN.
func (s *Stack) subflowSYN(seg *segment, o *mptcpOptions, known, next *subflow) {
	again := next != nil && next.isn == seg.seq
	kind := plainTCP
	switch {
	case seg.flags&(flagACK|flagRST|flagFIN) != 0:
		s.toFlow(seg)
		return
	case known != nil && known.kind == belongs && known.isn == seg.seq && known.of.key == seg.key:
		seg.seq = known.of.base - 1
		s.toFlow(seg)
		return
	case known != nil && known.isn == seg.seq, again && next.kind == joining:
		s.drop(seg, outcome.DropDuplicate)
		return
	case o.join:
		kind = joining
	case o.capable && len(seg.payload) > 0:
		kind = orphan // data in the SYN are not followed (RFC 8684, appendix B)
	case o.capable:
		kind = candidate
	case known == nil:
		s.subflows.half.Remove(seg.key)
		s.toFlow(seg)
		return
	}
	if !again {
		next = s.newSubflow(&seg.key, kind, seg.seq)
		next.token = o.token
		next.ev.sums.trusts(seg.sum, 0)
		next.ev.opens(seg, s.clock())
	}
	switch c := s.subflows.tokens[token{seg.key.service, o.token}]; {
	case kind == joining && c != nil:
		c.asked = s.now
		s.drop(seg, outcome.DropNoPayload)
	case kind == joining, kind == orphan:
		s.drop(seg, outcome.DropSubflow)
	default:
		s.toFlow(seg)
	}
}

// refusedJoin notes that what a client has asked for as a further subflow is none.
func (s *Stack) refusedJoin(key *flowKey, f *subflow) {
	if c := s.subflows.tokens[token{key.service, f.token}]; f.kind == joining && c != nil {
		c.asked = time.Time{}
	}
}

// subflowBegins takes a segment that may be the first after the SYN of f: it shows
// what the connection is (RFC 8684, section 3.1).
func (s *Stack) subflowBegins(seg *segment, o *mptcpOptions, f *subflow) {
	key := seg.key
	switch {
	case seg.flags&flagRST != 0:
		s.subflows.half.Remove(key)
		if f.kind == joining || f.kind == orphan {
			s.refusedJoin(&key, f)
			s.drop(seg, outcome.DropNoPayload)
			return
		}
	case f.ev.judge(seg) == rejected, o.keys == 2 && f.hasKey && f.serverKey != o.key[1]:
		s.drop(seg, outcome.DropRejected)
		return
	case f.kind == joining, f.kind == orphan:
		s.proven(&key, f)
		s.ofSubflow(f, seg, o)
		return
	case f.kind == candidate && o.keys == 2:
		f.serverKey, f.hasKey = o.key[1], true
		_, idsn := ofKey(o.version, o.key[0])
		s.establish(seg, o, f, idsn+1)
		return
	case f.kind == candidate && o.maps && o.ssn != 0:
		s.establish(seg, o, f, o.dsn-o.ssn+1)
		return
	case f.kind == candidate && o.present && !o.capable && len(seg.payload) == 0:
		s.drop(seg, outcome.DropNoPayload) // MPTCP, but nothing says where its data begin
		return
	case f.kind == candidate && o.present && !o.capable:
		s.drop(seg, outcome.DropSubflow)
		return
	default:
		s.subflows.half.Remove(key)
		s.subflows.known.Remove(key)
	}
	s.toFlow(seg)
}

// establish makes the MPTCP connection whose first subflow is f, and whose first byte
// has the data sequence number base.
func (s *Stack) establish(seg *segment, o *mptcpOptions, f *subflow, base uint32) {
	key := seg.key
	c := &multipath{key: key, base: base, scale: f.ev.server.scale}
	c.clientKey, c.hasClientKey = o.key[0], o.keys == 2
	c.sent.set(base)
	s.counters.multipaths++
	if !f.hasServerISN && seg.seq == f.isn+1 {
		f.serverISN, f.hasServerISN = seg.ack-1, true
	}
	s.belong(&key, f, c)
	if f.hasKey {
		version := f.version
		if o.keys == 2 {
			version = o.version
		}
		token, idsn := ofKey(version, f.serverKey)
		c.answered.set(idsn + 1)
		c.clientAt.set(idsn + 1)
		c.serverKey, c.hasKey, c.token = f.serverKey, true, token
	}
	s.rebase(f)
	s.ofSubflow(f, seg, o)
	s.called(c)
}

// rebase moves what is remembered of the first subflow's SYN to data sequence space.
func (s *Stack) rebase(f *subflow) {
	c := f.of
	half := stub{kind: halfOpen, base: c.base}
	ev := f.ev
	if known, ok := s.stubs.get(&c.key, s.now); ok && known.kind == halfOpen && known.base == f.isn+1 {
		if known.ev != nil {
			ev = *known.ev
		}
		s.counters.halfOpen-- // it was counted
	} else if g := s.flows[c.key]; g != nil && g.hasBase && g.base == c.base {
		return
	}
	ev.rebase(c.base, c.answered)
	half.ev = &ev
	s.remember(&c.key, half)
}

// rebase moves the evidence of a handshake to the data sequence space that begins at
// base; the server's begins at answered, where that is known.
func (ev *evidence) rebase(base uint32, answered mark) {
	ev.stamps, ev.answers, ev.client.ack = stamps{}, answers{}, mark{}
	sv := &ev.server
	if !sv.nxt.known {
		return
	}
	sv.edge += base - sv.ack.at
	sv.ack.set(base)
	if sv.nxt = answered; answered.known {
		ev.answers.begin(answered.at)
	}
}

// strays reports whether a segment is further from its subflow than anything on its way can
// be. A second one that goes on from it is none.
func (f *subflow) strays(seg *segment) bool {
	n := &f.next
	if !n.known || within(seg.end(), n.at, farthest) || within(n.at, seg.seq, farthest) || n.hasOdd && within(seg.end(), n.odd, farthest) {
		return false
	}
	n.odd, n.hasOdd = seg.end(), true
	return true
}

// ofSubflow takes a client's segment of a subflow.
func (s *Stack) ofSubflow(f *subflow, seg *segment, o *mptcpOptions) {
	f.ev.rested(s.clock())
	f.seen = s.now
	if f.kind == joining {
		if c := s.subflows.tokens[token{seg.key.service, f.token}]; c != nil {
			s.belong(&seg.key, f, c)
		}
	}
	switch {
	case f.kind == joining && len(seg.payload) > 0:
		s.wait(f, seg)
		return
	case f.kind != belongs:
		s.drop(seg, outcome.DropSubflow)
		return
	case !f.ev.sums.trusts(seg.sum, len(seg.payload)):
		s.drop(seg, outcome.DropBadChecksum)
		return
	case seg.flags&flagRST == 0 && f.ev.judge(seg) == rejected && !f.ev.refuse(seg):
		s.drop(seg, outcome.DropRejected)
		return
	case seg.flags&flagRST == 0 && f.strays(seg):
		s.drop(seg, outcome.DropOutOfWindow) // before it says anything of either end
		return
	}
	place := seg.seq
	isNew := f.next.known && seqLess(f.next.at, seg.end())
	s.ontoData(f, seg, o)
	switch {
	case o.fastclose && (f.of.hasKey && o.key[1] == f.of.serverKey || !f.of.hasKey && place == f.next.at):
		ahead := uint32(0)
		if within(place, f.next.at, nearby) {
			ahead = place - f.next.at
		}
		s.connectionReset(f, seg, ahead)
	case seg.flags&flagRST != 0:
		s.subflowReset(f, seg, o, place)
	case !f.next.move(place+uint32(len(seg.payload)), farthest):
		s.drop(seg, outcome.DropOutOfWindow)
	case len(seg.payload) > 0:
		if isNew {
			f.goesOn()
		}
		s.mapped(f, seg, o, place)
	default:
		s.bare(f, seg, o, place)
	}
}
