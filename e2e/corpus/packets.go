package corpus

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
)

// packets are the scripts in which the packets themselves are unusual.
func packets() []script {
	return append(append(offloaded(), fragmented()...), samePorts()...)
}

// filler returns n bytes of text that depend on the place only.
func filler(n int) string {
	var b strings.Builder
	for line := 0; b.Len() < n; line++ {
		fmt.Fprintf(&b, "line %06d of a body that nobody reads as a request\n", line)
	}
	return b.String()[:n]
}

func headOf(path string, body int) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: shop.example\r\nContent-Length: %d\r\n\r\n", path, body)
}

func post(path, body string) string { return headOf(path, len(body)) + body }

// lengthZero is a packet whose IP length segmentation offload has left 0.
func lengthZero(ip []byte) [][]byte {
	at := 2
	if ip[0]>>4 == 6 {
		at = 4
	}
	binary.BigEndian.PutUint16(ip[at:], 0)
	return [][]byte{ip}
}

func offloaded() []script {
	var scripts []script
	sizes := []int{3000, 16_000, 60_000}
	for _, tt := range []struct {
		name  string
		sum   summing
		shape func([]byte) [][]byte
	}{
		{"IP length 0", rightSum, lengthZero},
		{"IP length 0 and a sum of the pseudo-header without the length", lengthlessSum, lengthZero},
		{"a sum of the pseudo-header without the length", lengthlessSum, nil},
		{"a sum of the pseudo-header", pseudoSum, nil},
	} {
		for _, size := range sizes {
			scripts = append(scripts, script{fmt.Sprintf("a packet of %d bytes with %s is whole", size, tt.name), []shape{two, six, onePlain}, nil, func(s *scene) {
				c := s.open()
				sent := c.request("/small")
				large := post("/large", filler(size))
				c.emit(seg{flags: "PA", data: large, sum: tt.sum, shape: tt.shape, fresh: true})
				c.next += uint32(len(large))
				c.answered()
				s.eof(sent + large + c.requests("/behind"))
				c.close()
				s.counted("drop_bad_checksum", 0)
			}})
		}
	}
	return append(scripts, script{"a client whose every checksum is the pseudo-header's is taken", everyShape, nil, func(s *scene) {
		c := s.fresh()
		c.sum = pseudoSum
		c.handshake()
		s.eof(c.requests("/a", "/b"))
		c.close()
		s.counted("drop_bad_checksum", 0)
	}})
}

// samePorts are the scripts in which both ends have the service's port.
func samePorts() []script {
	return []script{
		{"any: with the same port at both ends the SYN tells who the client is", []shape{two, six, plain}, []string{"--midstream", "any"}, func(s *scene) {
			c := s.fresh()
			c.client = netip.AddrPortFrom(c.client.Addr(), Port)
			c.handshake()
			s.eof(c.requests("/a", "/b"))
			c.close()
		}},
		{"any: with the same port at both ends the SYN-ACK tells who the client is", twoWay, []string{"--midstream", "any"}, func(s *scene) {
			c := s.fresh()
			c.client = netip.AddrPortFrom(c.client.Addr(), Port)
			c.next++
			c.synAck()
			c.ack()
			s.eof(c.requests("/a", "/b"))
			c.close()
		}},
		{"with the same port at both ends requests tell who the client is", twoWay, nil, func(s *scene) {
			c := s.older()
			c.client = netip.AddrPortFrom(c.client.Addr(), Port)
			s.eof(c.requests("/a", "/b"))
			c.close()
		}},
	}
}
