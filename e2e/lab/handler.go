package lab

import (
	"bufio"
	"io"
	"net/http"
	"time"

	"golang.org/x/sys/unix"
)

// Answer is the response of AnswerHTTP to each request.
const Answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// AnswerHTTP is a Handler that reads HTTP/1.x requests and answers each with
// 200 and a body of two bytes.
func AnswerHTTP(c *Conn, _ <-chan struct{}) {
	r := bufio.NewReaderSize(struct{ io.Reader }{c}, 64<<10) // hides TCPConn.WriteTo, which would not record
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		if _, err := io.WriteString(c, Answer); err != nil {
			return
		}
	}
}

// Swallow is a Handler that reads and never answers.
func Swallow(*Conn, <-chan struct{}) {}

// NeverRead is a Handler that reads nothing until the connection is reset or the
// server is being closed. It polls, because a reset after unread bytes causes no event.
func NeverRead(c *Conn, done <-chan struct{}) {
	const closed = 7 // TCP_CLOSE (net/tcp_states.h)
	raw, err := c.SyscallConn()
	for state := uint8(0); err == nil && state != closed; {
		select {
		case <-done:
			return
		case <-time.After(50 * time.Millisecond):
		}
		err = raw.Control(func(fd uintptr) {
			if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
				state = info.State
			}
		})
	}
}

// ReadSlowly returns a Handler that reads perSecond bytes per second, a tenth of them
// at a time.
func ReadSlowly(perSecond int) Handler {
	return func(c *Conn, done <-chan struct{}) {
		tick := time.NewTicker(time.Second / 10)
		defer tick.Stop()
		buf := make([]byte, max(1, perSecond/10))
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}
}
