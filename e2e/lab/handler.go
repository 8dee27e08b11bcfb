package lab

import (
	"bufio"
	"io"
	"net/http"
	"time"
)

// Answer is what AnswerHTTP says to each request.
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

// NeverRead is a Handler that reads nothing as long as the server lives.
func NeverRead(_ *Conn, done <-chan struct{}) { <-done }

// ReadSlowly returns a Handler that reads so many bytes a second, a tenth of
// them at a time.
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
