package stack

import "slices"

// mapping says where some bytes of a subflow belong in the data of their MPTCP
// connection (RFC 8684, section 3.3.1).
type mapping struct {
	from    uint32 // the subflow's sequence number of the first byte
	dsn     uint32 // its data sequence number
	n       uint32 // how many bytes
	endless bool   // n does not count: all that follows (RFC 8684, section 3.7)
	fin     bool   // a DATA_FIN follows the last byte
}

// covers reports whether the mapping is for a byte of the subflow, and for how many
// from there on.
func (m *mapping) covers(seq uint32) (n uint32, ok bool) {
	off := seq - m.from
	switch {
	case m.endless && off < maxWindow:
		return maxWindow, true
	case off < m.n:
		return m.n - off, true
	}
	return 0, false
}

// place is the data sequence number of a place in the subflow.
func (m *mapping) place(seq uint32) uint32 { return m.dsn + (seq - m.from) }

// mappings are the last mappings of one direction of a subflow, in the order in
// which they came.
type mappings []mapping

// maxMappings bounds them. Those that go on where another ends become one with it,
// so that a connection of one subflow has one.
const maxMappings = 16

func (l *mappings) add(m mapping) {
	for i := range *l {
		old := &(*l)[i]
		if old.dsn-old.from != m.dsn-m.from || m.from-old.from > old.n {
			continue
		}
		if end := m.from + m.n - old.from; end >= old.n {
			old.n, old.fin = end, old.fin && end == old.n || m.fin
		}
		old.endless = old.endless || m.endless
		if over := old.n; over > maxWindow {
			over -= maxWindow / 2
			old.from, old.dsn, old.n = old.from+over, old.dsn+over, old.n-over
		}
		return
	}
	if len(*l) == maxMappings {
		*l = (*l)[:copy(*l, (*l)[1:])]
	}
	*l = append(*l, m)
}

// goOn reports whether m places bytes where one of the mappings before did. Where there is
// none, it is the first.
func (l mappings) goOn(m *mapping) bool {
	return len(l) == 0 || slices.ContainsFunc(l, func(old mapping) bool { return old.dsn-old.from == m.dsn-m.from })
}

// movedTo forgets what the subflow has left behind when it has come to a place: sequence
// numbers come around, and a mapping without an end goes on.
func (l *mappings) movedTo(at uint32) {
	*l = slices.DeleteFunc(*l, func(m mapping) bool {
		behind := at - (m.from + m.n)
		return !m.endless && behind >= maxWindow && behind < 1<<31
	})
	for i := range *l {
		m := &(*l)[i]
		if off := at - m.from; m.endless && off > maxWindow/2 && off < 1<<31 {
			over := off - maxWindow/2
			m.from, m.dsn, m.n = m.from+over, m.dsn+over, m.n-min(m.n, over)
		}
	}
}

// find returns the mapping for a byte of the subflow. Where two are, the first
// counts: a mapping does not change.
func (l mappings) find(seq uint32) *mapping {
	for i := range l {
		if _, ok := l[i].covers(seq); ok {
			return &l[i]
		}
	}
	return nil
}

// unmapped is how many of the n bytes from seq on come before the next mapping.
func (l mappings) unmapped(seq uint32, n int) int {
	for i := range l {
		if off := l[i].from - seq; off > 0 && off < uint32(n) {
			n = int(off)
		}
	}
	return n
}
