package bridge

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/pires/go-proxyproto"

	"netmirror/outcome"
	"netmirror/target"
)

// The addresses that script has, in a line of version 1.
const header = "PROXY TCP4 192.0.2.1 192.0.2.2 4321 80\r\n"

func proxied(v target.Header) Config { return Config{Options: target.Options{Header: v}} }

func TestHeaderBeforeTheFirstBytes(t *testing.T) {
	const mirrored = "PROXY TCP4 203.0.113.9 203.0.113.10 7 8\r\n"
	mirrored2 := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + "\xcb\x00\x71\x09" + "\xcb\x00\x71\x0a" + "\x00\x07" + "\x00\x08"
	for _, row := range []struct {
		name   string
		chunks []string
		end    error
		want   string
	}{
		{"a request", []string{"GET / HTTP/1.1\r\n\r\n"}, io.EOF, header + "GET / HTTP/1.1\r\n\r\n"},
		{"one that begins like a header, in pieces", []string{"P", "ROXY", " TCP4 1", "92.0.2.300"}, io.EOF, header + "PROXY TCP4 192.0.2.300"},
		{"one that ends before that is known", []string{"PR", "OXY"}, io.EOF, header + "PROXY"},
		{"one that is cut off before that is known", []string{"\r\n\r\n"}, outcome.EndGap, header + "\r\n\r\n"},
		{"a stream of nothing", nil, io.EOF, header},
		{"a header of its own", []string{mirrored + "GET /"}, io.EOF, mirrored + "GET /"},
		{"one of its own in pieces", []string{mirrored[:3], mirrored[3:30], mirrored[30:], "GET /"}, io.EOF, mirrored + "GET /"},
		{"one of its own, version 2", []string{mirrored2[:13], mirrored2[13:], "GET /"}, io.EOF, mirrored2 + "GET /"},
		{"nothing but one of its own", []string{mirrored}, io.EOF, mirrored},
		{"much", []string{string(random(3 * bufferSize))}, io.EOF, header + string(random(3*bufferSize))},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := newTarget(t)
			c := proxied(target.HeaderV1)
			c.Target = g.addr()
			h := serve(t, c)
			s := h.open(t)
			out := g.accept(t)
			length := 0
			for _, p := range row.chunks {
				s.send([]byte(p))
				length += len(p)
			}
			s.end(row.end)
			var end error
			if row.end != io.EOF {
				end = errReset
			}
			expect(t, out, []byte(row.want), end)
			out.Close()
			s.outcome(t)
			want(t, "BytesWritten", h.Stats().BytesWritten, uint64(length))
		})
	}
}

// Half a header waits for the rest of the client's bytes.
func TestHalfAHeaderIsHeldBack(t *testing.T) {
	g := newTarget(t)
	c := proxied(target.HeaderV1)
	c.Target = g.addr()
	h := serve(t, c)
	open := func() (*script, *net.TCPConn) {
		s := h.open(t, []byte("PROX"))
		out := g.accept(t)
		eventually(t, "the bytes", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.read == 4 })
		return s, out
	}
	s, out := open()
	rst(out)
	want(t, "outcome", s.outcome(t), "target-closed")
	want(t, "BytesUnsent", h.Stats().BytesUnsent, uint64(4))
	s, out = open()
	s.send([]byte("IMATE"))
	s.end(io.EOF)
	expect(t, out, []byte(header+"PROXIMATE"), nil)
}

func TestHeaderForATargetThatClosedBeforeTheFirstBytes(t *testing.T) {
	g := newTarget(t)
	c := proxied(target.HeaderV2)
	c.Target = g.addr()
	h := serve(t, c)
	s := h.open(t)
	g.accept(t).Close()
	h.closedFirst(t, 1)
	s.send([]byte("request"))
	want(t, "outcome", s.outcome(t), "target-closed")
	want(t, "what was given back", string(s.rest()), "request")
}

func TestHeaderOnUnixSockets(t *testing.T) {
	g, h := serveUnix(t, proxied(target.HeaderV2))
	s := h.open(t, []byte("request"))
	s.end(io.EOF)
	c := g.accept(t)
	r := bufio.NewReader(c)
	head, err := proxyproto.Read(r)
	if err != nil || head.SourceAddr.String() != "192.0.2.1:4321" || head.DestinationAddr.String() != "192.0.2.2:80" {
		t.Errorf("got %+v, %v", head, err)
	}
	expect(t, r, []byte("request"), nil)
}

// The header comes in clear, before the handshake (haproxy: send-proxy-v2 beside ssl).
func TestHeaderBeforeTLS(t *testing.T) {
	g := newSecure(t)
	h := g.serve(t, proxied(target.HeaderV2))
	s := h.open(t, []byte("request"))
	s.end(io.EOF)
	c := proxyproto.NewConn(g.shadow.accept(t))
	if got := c.RemoteAddr().String(); got != "192.0.2.1:4321" {
		t.Errorf("the header has %s", got)
	}
	in := tls.Server(c, g.config)
	expect(t, in, []byte("request"), nil)
	in.Close()
	want(t, "outcome", s.outcome(t), "complete")
}
