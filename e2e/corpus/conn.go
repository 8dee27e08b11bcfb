package corpus

import (
	"net/netip"
	"time"
)

// conn is one connection between a client and the service. Its offsets count
// from the next byte that an end sends.
type conn struct {
	*scene
	client, server netip.AddrPort
	next           uint32  // the client's next sequence number
	reply          uint32  // the server's next sequence number
	clientAck      uint32  // what the client has acknowledged
	sum            summing // of the client's segments
	window         uint16  // that both ends advertise
}

// fresh returns a connection that has sent nothing yet.
func (s *scene) fresh() *conn {
	s.conns++
	n, window := uint16(s.conns), uint16(501) // 64 KB
	if s.plain {
		window = 64128
	}
	random := s.seed + uint32(n)*3266489917
	return &conn{
		scene:  s,
		client: netip.AddrPortFrom(s.address(10+n), 32768+uint16(random%20000)),
		server: netip.AddrPortFrom(s.address(5), Port),
		next:   random, reply: random * 668265263, window: window,
	}
}

// open returns a connection whose handshake the mirror has carried.
func (s *scene) open() *conn {
	c := s.fresh()
	c.handshake()
	return c
}

// older returns a connection that netmirror has seen nothing of.
func (s *scene) older() *conn {
	c := s.fresh()
	c.clientAck = c.reply
	return c
}

// again returns a new connection on the same addresses and ports.
func (c *conn) again(isn uint32) *conn {
	n := *c
	n.next, n.reply = isn, c.reply+1<<20
	return &n
}

func (c *conn) handshake() {
	c.syn()
	c.synAck()
	c.ack()
}

func (c *conn) syn() {
	c.emit(seg{flags: "S"})
	c.next++
}

func (c *conn) synAck() {
	c.emitServer(seg{flags: "SA"})
	c.reply++
	c.clientAck = c.reply
}

// ack is the client's bare acknowledgment of all that the server has sent.
func (c *conn) ack() {
	c.clientAck = c.reply
	c.emit(seg{flags: "A"})
}

func (c *conn) serverAck() { c.emitServer(seg{flags: "A"}) }

// send sends the client's next bytes and returns them.
func (c *conn) send(data string) string {
	c.emit(seg{flags: "PA", data: data, fresh: true})
	c.next += uint32(len(data))
	return data
}

// sendAll is send in segments of up to size bytes.
func (c *conn) sendAll(data string, size int) string {
	for rest := data; rest != ""; rest = rest[min(size, len(rest)):] {
		c.send(rest[:min(size, len(rest))])
	}
	return data
}

// lose has the client send bytes that reach the server and not the mirror.
func (c *conn) lose(data string) { c.next += uint32(len(data)) }

// answer is data of the server, which acknowledges all that the client has sent.
func (c *conn) answer(data string) {
	c.emitServer(seg{flags: "PA", data: data})
	c.reply += uint32(len(data))
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfine\n"

// answered is a complete answer that the client has acknowledged.
func (c *conn) answered() {
	c.answer(ok)
	c.ack()
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: shop.example\r\n\r\n" }

// request is a GET with its answer. It returns what the client sent.
func (c *conn) request(path string) string {
	sent := c.send(get(path))
	c.answered()
	return sent
}

// requests makes requests 40 ms apart, more than mirrors reorder.
func (c *conn) requests(paths ...string) (sent string) {
	for _, p := range paths {
		sent += c.request(p)
		c.wait(40 * time.Millisecond)
	}
	return sent
}

// close is the client's FIN, then the server's.
func (c *conn) close() {
	c.emit(seg{flags: "FA"})
	c.next++
	c.emitServer(seg{flags: "FA"})
	c.reply++
	c.ack()
}

// abort is the client's RST.
func (c *conn) abort() { c.emit(seg{flags: "RA"}) }

// probe is a keep-alive probe: one byte before the next one to be sent, whose
// value means nothing (RFC 9293, section 3.8.4), and the server's answer.
func (c *conn) probe(value byte) {
	c.emit(seg{flags: "A", off: -1, data: string([]byte{value})})
	c.serverAck()
}
