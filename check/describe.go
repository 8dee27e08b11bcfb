package check

import "fmt"

// service tells what the chosen service's packets are good for.
func (r *report) service(c Config, s *seen, ch *choice) {
	name := fmt.Sprintf("service: VNI %s, port %v", numbers(ch.vnis), ch.ports)
	if s.bare {
		name = fmt.Sprintf("service: port %v", ch.ports)
	}
	if !r.sides(name, ch) {
		return
	}
	if !r.data(c, name, ch) {
		return
	}
	r.filters(c, name, ch)
	r.wholeness(s, name, ch)
	r.gaps(c, s, name, ch)
	r.language(name, ch)
	r.requests(c, name, ch)
	r.beginning(c, name, ch)
	// A packet that is mirrored twice is half of what came.
	if ch.repeats*4 >= ch.packets() {
		r.note("%s: %d of %d packets came twice, for example because both ends of a connection are mirrored; netmirror forwards each once",
			name, ch.repeats, ch.packets())
	}
}

// data tells whether the clients sent some. It is false where nothing could be
// forwarded.
func (r *report) data(c Config, name string, ch *choice) bool {
	switch {
	case ch.client.payload == 0 && ch.opened == 0:
		r.fault(c.longer("with --time")+", or while the service is busy",
			"%s: the clients sent nothing but acknowledgements", name)
		return false
	case ch.client.payload == 0:
		r.note("%s: the clients opened connections and sent nothing", name)
	}
	return true
}

// wholeness tells what the mirror cut of the clients' packets.
func (r *report) wholeness(s *seen, name string, ch *choice) {
	cut, payload := ch.client.cut, ch.client.payload
	if cut == 0 {
		return
	}
	text := fmt.Sprintf("%s: truncated: %d of %s with data from clients, to %d bytes of IP at most; such a packet is lost, and its stream reset",
		name, cut, count(payload, "packet"), ch.client.cutAt)
	if cut*3 > payload {
		r.fault(s.uncut(), "%s", text)
		return
	}
	r.note("%s; %s", text, s.uncut())
}

// longer is the remedy for what may come later. how is the flag for a mirror that is watched.
func (c Config) longer(how string) string {
	if c.Capture != nil {
		return "make a capture that lasts longer"
	}
	return "watch for longer " + how
}

// beginning tells that no stream can begin, or where: netmirror begins one with
// its connection or, if --midstream lets it, at an HTTP/1 request or anywhere. A
// connection that is opened and carries nothing, as a port scanner's, is no
// beginning.
func (r *report) beginning(c Config, name string, ch *choice) {
	remedy := c.longer("with --time 1m") + ", or make the clients reconnect meanwhile"
	switch {
	case ch.client.payload == 0 || ch.begun > 0 || c.Midstream == "any":
	case c.Midstream == "off":
		r.fault(remedy, "%s: no stream can begin: no start of a connection with data was seen, and --midstream is off", name)
	case ch.speaks[http1] == 0:
		r.fault(remedy, "%s: no stream can begin: no start of a connection with data was seen, and no HTTP/1 request in an older one", name)
	default:
		r.note("%s: no new connection was seen with data; older ones are forwarded from their next HTTP/1 request on, or not at all", name)
	}
}

// language tells what the clients speak.
func (r *report) language(name string, ch *choice) {
	spoken := ch.spoken()
	of := fmt.Sprintf("in %d of the %s in which clients sent data", ch.speaks[spoken], count(ch.talked(), "connection"))
	switch spoken {
	case http1:
		r.ok("%s: HTTP/1 %s", name, of)
	case http2:
		r.ok("%s: HTTP/2 %s; connections are forwarded only from their beginning", name, of)
	case tls:
		r.fault("mirror behind the TLS termination, between it and the service, where the clients' requests are in the clear",
			"%s: TLS %s; the shadow service does not have its keys and cannot decrypt it", name, of)
	default:
		if ch.talked() > 0 {
			r.note("%s: neither HTTP nor TLS, as far as seen; connections are forwarded from their beginning until they lose a packet", name)
		}
	}
}
