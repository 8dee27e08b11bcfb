package stack

// host is a client address with flows.
type host struct {
	key        hostKey
	flows      [numRanks]flowList
	n          int   // flows of all ranks
	prev, next *host // with as many flows
}

// hostKey is a client's address, as in flowKey.
type hostKey struct {
	addr [16]byte
	net  uint32
}

// hostOf is the client address that a connection counts for. Of IPv6 it is the first
// 64 bits: a single host has all the others to itself (RFC 4291, section 2.5.4).
func hostOf(k *flowKey) hostKey {
	h := hostKey{addr: k.src, net: k.net}
	if k.ipv6() {
		clear(h.addr[8:])
	}
	return h
}

// hosts are the client addresses with flows, and the one that has most. Every
// operation takes constant time. The zero value is empty.
type hosts struct {
	all   map[hostKey]*host
	by    []hostList // those with as many flows as the index says
	most  int        // the largest index at which there are any
	spare *host      // one that is not in use, or nil
}

// hostList holds the hosts that have the same number of flows, the one that has had
// it for longest first.
type hostList struct{ first, last *host }

// add counts one more flow of an address.
func (hs *hosts) add(key hostKey) *host {
	if hs.all == nil {
		hs.all, hs.by = make(map[hostKey]*host), make([]hostList, 1)
	}
	h := hs.all[key]
	if h == nil {
		h = hs.unused()
		h.key = key
		hs.all[key] = h
	}
	hs.count(h, +1)
	return h
}

// remove counts one flow less, and forgets an address that has none.
func (hs *hosts) remove(h *host) {
	if hs.count(h, -1); h.n == 0 {
		delete(hs.all, h.key)
		hs.spare = h
	}
}

// unused is a host without a flow.
func (hs *hosts) unused() *host {
	if h := hs.spare; h != nil {
		hs.spare = nil
		return h
	}
	h := new(host)
	for r := range h.flows {
		h.flows[r].kind = ofHost
	}
	return h
}

// top is an address that has most flows; nil where there is none.
func (hs *hosts) top() *host {
	if hs.most == 0 {
		return nil
	}
	return hs.by[hs.most].first
}

func (hs *hosts) count(h *host, change int) {
	if h.n > 0 {
		hs.by[h.n].remove(h)
	}
	if h.n += change; h.n == len(hs.by) {
		hs.by = append(hs.by, hostList{})
	}
	if h.n > 0 {
		hs.by[h.n].push(h)
	}
	switch {
	case h.n > hs.most:
		hs.most = h.n
	case hs.by[hs.most].first == nil:
		hs.most-- // it was h, which has one less now
	}
}

func (l *hostList) push(h *host) {
	if h.prev = l.last; l.last != nil {
		l.last.next = h
	} else {
		l.first = h
	}
	l.last = h
}

func (l *hostList) remove(h *host) {
	if h.prev != nil {
		h.prev.next = h.next
	} else {
		l.first = h.next
	}
	if h.next != nil {
		h.next.prev = h.prev
	} else {
		l.last = h.prev
	}
	h.prev, h.next = nil, nil
}
