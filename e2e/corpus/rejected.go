package corpus

import (
	"strings"
	"time"
)

// rejected are the scripts in which something comes that a TCP drops (RFC 9293,
// section 3.10.7.4, and RFC 5961), or that the server answers with a RST.
func rejected() []script {
	return append(forgeries(), refusals()...)
}

// forgeries are the scripts in which what a TCP drops is as long as the real
// bytes, at their place, and before them.
func forgeries() []script {
	forged := strings.Replace(get("/real"), "real", "fake", 1)
	before := func(stray seg) func(s *scene) {
		return func(s *scene) {
			c := s.open()
			sent := c.requests("/a")
			c.emit(stray)
			c.serverAck()
			s.wait(5 * time.Millisecond)
			s.eof(sent + c.requests("/real", "/b"))
			c.close()
			s.counted("end_complete", 1)
		}
	}
	return []script{
		{"data without an ACK are dropped", everyShape, nil, before(seg{flags: "P", data: forged})},
		{"data with an ACK of what the server never sent are dropped", twoWay, nil, before(seg{flags: "PA", ack: 5000, data: forged})},
		{"data with an ACK 1 GiB behind are dropped (RFC 5961, 5.2)", twoWay, nil, before(seg{flags: "PA", ack: -(1 << 30), data: forged})},
		{"data whose checksum is the pseudo-header's, among full checksums, are dropped", everyShape, nil, func(s *scene) {
			before(seg{flags: "PA", sum: pseudoSum, data: forged})(s)
			s.counted("drop_bad_checksum", 1)
		}},
		{"data older than the connection by their timestamp are dropped (RFC 7323, 5.3)", []shape{two, one, six}, nil,
			before(seg{flags: "PA", ago: 90 * time.Second, data: forged})},
		{"a FIN without an ACK in the middle of a request is dropped", everyShape, nil, func(s *scene) {
			c := s.open()
			r := get("/in-two-parts")
			first := c.send(r[:12])
			c.emit(seg{flags: "F"})
			s.wait(5 * time.Millisecond)
			second := c.send(r[12:])
			c.answered()
			s.eof(first + second + c.requests("/b"))
			c.close()
			s.counted("end_complete", 1)
		}},
		{"data of a SYN that the server does not take are replaced by what the client sends then (RFC 7413, 4.2)", []shape{two, six, plain}, nil, func(s *scene) {
			c := s.fresh()
			c.emit(seg{flags: "S", data: forged})
			c.next++
			c.synAck()
			c.ack()
			s.eof(c.requests("/real", "/b"))
			c.close()
		}},
		{"data of a SYN that are sent again before the SYN-ACK, which does not take them, are forwarded once", []shape{two, one, six, plain}, nil, func(s *scene) {
			c := s.fresh()
			c.emit(seg{flags: "S", data: get("/fast")})
			c.next++
			c.clientAck = c.reply + 1
			sent := c.send(get("/fast"))
			c.emitServer(seg{flags: "SA", ack: -len(sent)})
			c.reply++
			c.answered()
			s.eof(sent + c.requests("/b"))
			c.close()
		}},
		{"a SYN in the window is challenged and changes nothing (RFC 5961, 4.2)", twoWay, nil, func(s *scene) {
			c := s.open()
			sent := c.requests("/a")
			c.emit(seg{flags: "S", off: 100})
			c.serverAck()
			s.wait(20 * time.Millisecond)
			s.eof(sent + c.requests("/b", "/c"))
			c.close()
		}},
	}
}

// refusals are the scripts in which the server answers with a RST.
func refusals() []script {
	scripts := []script{
		{"a request behind a nonsense ACK of the SYN-ACK is not forwarded", twoWay, nil, func(s *scene) {
			c := s.fresh()
			c.syn()
			c.synAck()
			c.emit(seg{flags: "PA", ack: 12345, data: get("/nonsense")})
			c.emitServer(seg{flags: "R", off: 12345}) // RFC 9293, section 3.10.7.4: <SEQ=SEG.ACK><CTL=RST>
			honest(s)
		}},
		{"a request behind a nonsense ACK, then one more, is not forwarded", twoWay, nil, func(s *scene) {
			c := s.fresh()
			c.syn()
			c.synAck()
			for range 2 {
				c.emit(seg{flags: "PA", ack: -70_000, data: get("/nonsense")})
				c.emitServer(seg{flags: "R", off: -70_000})
				s.wait(30 * time.Millisecond)
			}
			honest(s)
		}},
	}
	scripts = append(scripts, script{"a request to a port that the server has closed is not forwarded", twoWay, nil, func(s *scene) {
		c := s.fresh()
		c.syn()
		c.emitServer(seg{flags: "RA"})
		c.clientAck = c.reply
		c.emit(seg{flags: "PA", data: get("/refused")})
		c.emitServer(seg{flags: "R"})
		honest(s)
	}})
	for _, after := range []time.Duration{0, 3 * time.Millisecond} {
		scripts = append(scripts, script{"a request without a connection that the server resets " + after.String() + " later is not forwarded", twoWay, nil, func(s *scene) {
			honest(s)
			c := s.older()
			c.emit(seg{flags: "PA", data: get("/stray")})
			s.wait(after)
			c.emitServer(seg{flags: "R"})
			honest(s)
		}})
	}
	return scripts
}

// honest is a connection that has to arrive whatever came beside it.
func honest(s *scene) {
	c := s.open()
	s.eof(c.requests("/honest", "/honest-too"))
	c.close()
}
