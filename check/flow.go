package check

import (
	"net/netip"
	"slices"
	"time"

	asked "netmirror/service"
)

// maxFlows is how many connections are kept apart before they are added to their services and
// forgotten. 65536 of them take some 20 MiB, and 20 MiB more for each end if the mirror loses
// packets of all.
const maxFlows = 1 << 16

// flowKey is a mirrored connection, whichever direction a packet has.
type flowKey struct {
	vni  uint32
	ends [2]netip.AddrPort // the lower one first
}

// keyOf gives a segment's connection, and which of its ends has sent it.
func keyOf(vni uint32, s *segment) (k flowKey, from int) {
	if s.src.Compare(s.dst) > 0 {
		return flowKey{vni, [2]netip.AddrPort{s.dst, s.src}}, 1
	}
	return flowKey{vni, [2]netip.AddrPort{s.src, s.dst}}, 0
}

// flow is what was seen of one connection.
type flow struct {
	sides   [2]side // by the end that sent
	server  serverEnd
	opened  bool      // its SYN was seen, or the answer
	repeats uint32    // packets that one of the last few was equal to
	recent  [4]uint64 // prints of the last packets
	next    uint8     // the oldest of recent
}

// side is what one end of a connection sent.
type side struct {
	packets, payload uint32 // payload: packets that have some, or had
	cut              uint32 // packets that the mirror cut
	cutAt            uint16 // the longest that was left of one, bytes of IP
	speech           speech
	role             int8   // as in roleOf, of the first payload that showed one
	bytes            uint64 // of payload, with what was cut
	sequence         sequence
}

// serverEnd is the end of a flow that a SYN or SYN-ACK has shown to be the server.
type serverEnd uint8

const (
	unshown serverEnd = iota
	firstEnd
	secondEnd
)

// flows is the connections that were seen since they were last added to their
// services.
type flows struct {
	ports asked.Ports // that services are said to have
	byKey map[flowKey]*flow
	into  *top[serviceID, service]
	folds int           // how often they were added to their services
	now   time.Duration // of the look

	filters []filter              // of the services that were given; none: they leave nothing out
	asked   map[serviceID][]taken // requests since the last fold
}

func newFlows(ports asked.Ports, into *top[serviceID, service]) *flows {
	return &flows{ports: ports, byKey: make(map[flowKey]*flow), into: into, asked: make(map[serviceID][]taken)}
}

// add takes a segment in.
func (t *flows) add(vni uint32, s segment) {
	k, from := keyOf(vni, &s)
	f := t.byKey[k]
	if f == nil {
		if len(t.byKey) >= maxFlows {
			t.fold()
		}
		f = new(flow)
		t.byKey[k] = f
	}
	if copied := f.add(from, &s, t.now); !copied {
		t.judge(vni, &s)
	}
}

// fold adds the connections to their services and forgets them.
func (t *flows) fold() {
	t.folds++
	use := t.usage()
	for k, f := range t.byKey {
		at, sure := use.serverOf(k, f)
		v := t.into.at(serviceID{k.vni, k.ends[at].Port()})
		v.add(f, at, k.ends[at], t.now)
		if f.sides[1-at].payload > 0 {
			mergeTaken(&v.taken, takenOf(t.filters, k.ends[1-at], k.ends[at]))
		}
		if !sure {
			v.guessed++
			v.other = k.ends[1-at].Port()
		}
	}
	for id, all := range t.asked {
		if v := t.into.entries[id]; v != nil {
			mergeTaken(&v.taken, all)
		}
	}
	clear(t.byKey)
	clear(t.asked)
}

// add takes a segment in that one end has sent, at a time of the look. copied says that one of
// the last few was equal to it.
func (f *flow) add(from int, s *segment, now time.Duration) (copied bool) {
	if s.syn && f.server == unshown {
		f.opened = true
		f.server = firstEnd
		if (from == 0) != s.ack { // the client's SYN, or the server's answer, as RFC 9293, section 3.5
			f.server = secondEnd
		}
	}
	copied = slices.Contains(f.recent[:], s.print)
	if copied {
		f.repeats++
	}
	f.recent[f.next] = s.print
	f.next = (f.next + 1) % uint8(len(f.recent))

	f.sides[from].add(s, f.opened)
	f.sides[from].sequence.add(s, now, copied)
	return copied
}

// add takes a segment in. The first payload behind a SYN is what the connection
// begins with.
func (d *side) add(s *segment, opened bool) {
	d.packets++
	d.bytes += uint64(s.length)
	if s.cut {
		d.cut++
		d.cutAt = max(d.cutAt, uint16(min(s.size, 0xffff)))
	}
	if len(s.payload) > 0 || s.cut {
		d.payload++
		if opened && d.payload == 1 && begins(s.payload) {
			d.speech, d.role = http1, asks
		}
		if d.speech == unknown {
			d.speech = speechOf(s.payload)
		}
		if d.role == 0 {
			d.role = roleOf(s.payload)
		}
	}
}
