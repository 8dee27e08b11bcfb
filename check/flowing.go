package check

// flowing is which of the two directions of a service's connections were seen.
// Stray packets, a port scanner's for example, come to any service, so that one
// packet shows no direction to be mirrored.
type flowing struct {
	answered uint64 // connections in which the server sent a packet
	unheard  uint64 // of these, those in which the client was not seen
	alone    uint64 // the servers' packets in unheard
}

func (w *flowing) add(client, server *side) {
	if server.packets == 0 {
		return
	}
	w.answered++
	if client.packets == 0 {
		w.unheard++
		w.alone += uint64(server.packets)
	}
}

func (w *flowing) merge(o flowing) {
	w.answered += o.answered
	w.unheard += o.unheard
	w.alone += o.alone
}

// lonely reports whether the servers sent more packets in unheard connections than a server
// sends before it needs an acknowledgment (RFC 6928: ten). Then the start and the end of the
// look do not explain the missing clients.
func (w *flowing) lonely() bool { return w.alone > 10 }

// few is the share, one in so many, up to which connections are stray ones.
const few = 10

// serversOnly says that the mirror carries the servers' side alone: in hardly a
// connection in which a server is seen there is a client, nor do clients send data
// in others.
func (s *service) serversOnly() bool {
	w := &s.flowing
	if s.client.packets == 0 {
		return true
	}
	return w.lonely() && (w.answered-w.unheard)*few <= w.unheard && s.talked()*few <= w.unheard
}

// clientsOnly says that the mirror carries the clients' side alone.
func (s *service) clientsOnly() bool {
	return s.server.packets == 0 || s.flowing.answered*few <= s.talked()
}

// directions says which of them the mirror carries.
func (s *service) directions() string {
	switch {
	case s.serversOnly():
		return "servers only"
	case s.clientsOnly():
		return "clients only"
	}
	return "both"
}

// sides tells which directions the mirror carries. It returns false if the clients' direction
// is missing.
func (r *report) sides(name string, ch *choice) bool {
	w := &ch.flowing
	if ch.serversOnly() {
		but := ""
		if ch.client.packets > 0 {
			but = "; what came of clients, " + count(ch.client.packets, "packet") + ", went astray"
		}
		r.fault("mirror the other direction too, the packets that go to port "+ch.ports.String(),
			"%s: only the servers' side is mirrored, so there is nothing to forward: no client's packet in %d of the %s in which servers sent some%s",
			name, w.unheard, count(w.answered, "connection"), but)
		return false
	}
	r.ok("%s: %s of clients in %s, %d of them new", name,
		count(ch.client.packets, "packet"), count(ch.conns, "connection"), ch.opened)
	switch {
	case ch.clientsOnly():
		r.ok("%s: only the clients' side is mirrored, which is enough", name)
	case w.lonely() && w.unheard*few >= w.answered:
		r.note("%s: no client's packet in %d of the %s in which servers sent some, for example because one direction of a host is not mirrored, or addresses are rewritten on the way",
			name, w.unheard, count(w.answered, "connection"))
	}
	return true
}
