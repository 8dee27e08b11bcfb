package corpus

import (
	"fmt"
	"slices"
	"time"
)

// strays are the scripts in which a packet that the server rejects comes beside
// a connection that goes on.
func strays() []script {
	var scripts []script
	for _, kind := range []struct {
		name string
		seg  seg
	}{
		{"data", seg{flags: "PA", data: "GET /stale HTTP/1.1\r\nHost: shop.example\r\n\r\n"}},
		{"a FIN", seg{flags: "FA"}},
		{"a bare ACK", seg{flags: "A"}},
		{"a RST", seg{flags: "R"}},
		{"a RST with ACK", seg{flags: "RA"}},
	} {
		for _, d := range []struct {
			name   string
			off    int
			shapes []shape
		}{
			{"100 KB", 100_000, fewShapes},
			{"5 MiB", 5 << 20, everyShape},
			{"1 GiB", 1 << 30, fewShapes},
			{"-1 GiB", -(1 << 30), fewShapes},
		} {
			scripts = append(scripts, script{fmt.Sprintf("%s %s ahead of the stream changes nothing", kind.name, d.name), d.shapes, nil,
				strayBetween(kind.seg, d.off)})
		}
	}
	scripts = append(scripts,
		script{"data 5 MiB ahead with a timestamp of today change nothing", []shape{two, one}, nil, strayBetween(seg{flags: "PA", data: "later", ago: -1}, 5<<20)},
		script{"splice: nothing is spliced to data 5 MiB ahead", fewShapes, []string{"--on-gap", "splice"}, strayBetween(seg{flags: "PA", data: "later"}, 5<<20)},
		script{"splice: nothing is spliced to a FIN 100 KB ahead", fewShapes, []string{"--on-gap", "splice"}, strayBetween(seg{flags: "FA"}, 100_000)},
		script{"any: data 5 MiB ahead are no stream of their own", fewShapes, []string{"--midstream", "any"}, strayBetween(seg{flags: "PA", data: "later"}, 5<<20)})
	for _, off := range []int{1, 700, 30_000} {
		scripts = append(scripts,
			script{fmt.Sprintf("a RST in the window, %d bytes ahead, is challenged and changes nothing (RFC 5961, 3.2)", off), everyShape, nil, strayBetween(seg{flags: "R"}, off)},
			script{fmt.Sprintf("a FIN behind a hole of %d bytes that the stream goes on over changes nothing", off), fewShapes, nil, strayBetween(seg{flags: "FA"}, off)})
	}
	for _, d := range []struct {
		name string
		ack  int
	}{{"100 KB", 100_000}, {"5 MiB", 5 << 20}, {"1 GiB", 1 << 30}} {
		scripts = append(scripts, script{fmt.Sprintf("an ACK of the server %s ahead of the stream changes nothing", d.name), twoWay, nil, reverseBetween(d.ack)})
	}
	for _, off := range []int{700, 100_000, 1 << 30} {
		scripts = append(scripts, script{fmt.Sprintf("a RST of the server, %d bytes ahead, changes nothing (RFC 5961, 3.2)", off), twoWay, nil, func(s *scene) {
			c := s.open()
			sent := c.request("/before")
			c.emitServer(seg{flags: "R", off: off})
			c.ack() // the challenge
			s.wait(10 * time.Millisecond)
			s.eof(sent + c.requests("/r0", "/r1"))
			c.close()
			s.counted("end_complete", 1)
		}})
	}
	return slices.Concat(scripts, []script{challenged(), aborted()}, lateOnes())
}

// aborted is a client that aborts while the server sends, whose last packet is lost in the mirror.
func aborted() script {
	return script{"where a client aborts a download, what is missing in front of its RST is missing", twoWay, nil, func(s *scene) {
		c := s.open()
		s.reset(c.requests("/a"))
		was := c.next
		c.lose("bye\n")
		c.emit(seg{flags: "R"})
		c.next = was
		c.answer("more of the download")
		c.emit(seg{flags: "R"}) // the answer to that (RFC 9293, section 3.10.7.1)
		s.counted("end_gap", 1)
		s.counted("missing_bytes", 4)
	}}
}

// challenged is a client's RST in the window that the server asks back about, and the client's
// answer (RFC 5961, section 3.2).
func challenged() script {
	return script{"a RST in the window, the server's challenge, and the right RST end the connection", twoWay, nil, func(s *scene) {
		c := s.open()
		s.reset(c.requests("/a"))
		c.emit(seg{flags: "R", off: 100})
		s.wait(time.Millisecond)
		c.serverAck()
		c.emit(seg{flags: "R"})
		s.counted("end_client-reset", 1)
		s.counted("missing_bytes", 0)
	}}
}

// strayBetween puts a stray segment between requests. Where there are
// timestamps, they show that it belongs to an older connection (RFC 7323, section 5).
func strayBetween(stray seg, off int) func(s *scene) {
	return func(s *scene) {
		c := s.open()
		sent := c.request("/before")
		s.wait(10 * time.Millisecond)
		stray.off = off
		if stray.ago == 0 {
			stray.ago = 90 * time.Second
		}
		c.emit(stray)
		c.serverAck() // RFC 9293, section 3.10.7.4: the answer to what is not acceptable
		s.wait(10 * time.Millisecond)
		sent += c.requests("/r0", "/r1", "/r2")
		s.wait(1100 * time.Millisecond) // --gap-timeout has passed
		s.eof(sent + c.request("/after"))
		c.close()
		s.counted("end_complete", 1)
	}
}

func reverseBetween(ack int) func(s *scene) {
	return func(s *scene) {
		c := s.open()
		sent := c.request("/before")
		c.emitServer(seg{flags: "A", ack: ack, ago: 90 * time.Second})
		s.wait(10 * time.Millisecond)
		sent += c.requests("/r0", "/r1", "/r2")
		s.wait(1100 * time.Millisecond)
		s.eof(sent + c.request("/after"))
		c.close()
		s.counted("end_complete", 1)
	}
}

// lateOnes are the scripts in which a packet of an older connection on the same
// ports comes late.
func lateOnes() []script {
	var scripts []script
	for _, late := range []struct{ name, flags, data string }{
		{"FIN", "FA", ""}, {"ACK", "A", ""}, {"RST", "R", ""}, {"data", "PA", "GET /late HTTP/1.1\r\nHost: shop.example\r\n\r\n"},
	} {
		for _, apart := range []uint32{1 << 21, 1<<30 + 17, 3<<30 + 5} {
			scripts = append(scripts, script{
				fmt.Sprintf("a late %s of the connection before, %d behind, is no part of the new one", late.name, apart), fewShapes, nil,
				func(s *scene) {
					old := s.open()
					s.eof(old.request("/old"))
					old.close()
					s.wait(60 * time.Millisecond)
					c := old.again(old.next + apart)
					c.handshake()
					sent := c.request("/n0")
					old.emit(seg{flags: late.flags, data: late.data, ago: time.Second})
					c.serverAck()
					sent += c.requests("/n1", "/n2")
					s.wait(1100 * time.Millisecond)
					s.eof(sent + c.request("/n3"))
					c.close()
					s.counted("end_complete", 2)
				}})
		}
	}
	return scripts
}
