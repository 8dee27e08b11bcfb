package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"

	"netmirror/e2e/lab"
)

// verifier is a shadow service that knows what each request must be: a POST of
// the lab's client whose body has size bytes.
type verifier struct {
	size  int64 // bytes
	tries int   // connections that may come and go without a byte
	// arrived is called, where it is set, with each request that came whole.
	arrived func(id uint64)

	mu       sync.Mutex     // guards the fields below
	count    map[uint64]int // of each request that came whole
	streams  []*playedStream
	problems []string
}

// playedStream is what came on one connection.
type playedStream struct {
	ids  []uint64 // of the requests that came whole
	torn bool     // another one came in part
	end  lab.End
}

// serve reads one connection's requests to its end, which Wait on the server
// waits for.
func (v *verifier) serve(c *lab.Conn, _ <-chan struct{}) { v.serveFrom(c, reader(c), -1) }

// reader hides TCPConn.WriteTo, which would not record.
func reader(c *lab.Conn) *bufio.Reader { return bufio.NewReader(struct{ io.Reader }{c}) }

// serveFrom reads and answers requests up to limit, if that is not negative, and
// returns whether it ended for the limit.
func (v *verifier) serveFrom(c *lab.Conn, r *bufio.Reader, limit int) bool {
	p := new(playedStream)
	for len(p.ids) != limit && v.request(r, p) {
		// Where this fails, the bytes before the reset are still there to be read.
		_, _ = io.WriteString(c, lab.Answer)
	}
	p.end = c.Record().End
	v.mu.Lock()
	defer v.mu.Unlock()
	v.streams = append(v.streams, p)
	return len(p.ids) == limit
}

// request reads one request. It returns false where there is no other.
func (v *verifier) request(r *bufio.Reader, p *playedStream) bool {
	var header strings.Builder
	for !strings.HasSuffix(header.String(), "\r\n\r\n") {
		line, err := r.ReadString('\n')
		header.WriteString(line)
		if err != nil {
			p.torn = header.Len() > 0
			return false
		}
	}
	var id uint64
	if _, err := fmt.Sscanf(header.String(), "POST /%d ", &id); err != nil || header.String() != lab.PostHeader(id, v.size) {
		v.problem("behind %d requests came %q", len(p.ids), header.String()[:min(200, header.Len())])
		return false
	}
	got, want := make([]byte, v.size), make([]byte, v.size)
	n, err := io.ReadFull(r, got)
	lab.Body(id).Read(want)
	if !bytes.Equal(got[:n], want[:n]) {
		v.problem("the body of request %d/%d is another", id>>32, uint32(id))
		return false
	}
	if err != nil {
		p.torn = true
		return false
	}
	p.ids = append(p.ids, id)
	if v.arrived != nil {
		v.arrived(id)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.count == nil {
		v.count = make(map[uint64]int)
	}
	v.count[id]++
	return true
}

func (v *verifier) problem(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.problems = append(v.problems, fmt.Sprintf(format, args...))
}

// came returns how often each request came whole, so far.
func (v *verifier) came() map[uint64]int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.count)
}

// check checks, when all connections have ended, that nothing was altered and
// nothing came twice, and that a stream ended as a client ends it only behind
// a client's last request.
func (v *verifier) check(t *testing.T, last func(id uint64) bool) {
	t.Helper()
	for id, n := range v.came() {
		if n > 1 {
			v.problem("request %d/%d came %d times", id>>32, uint32(id), n)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range v.streams {
		n := len(p.ids)
		if n == 0 && !p.torn && p.end == lab.EOF && v.tries > 0 {
			v.tries--
			continue
		}
		if p.end == lab.EOF && (p.torn || n == 0 || !last(p.ids[n-1])) {
			v.problems = append(v.problems, fmt.Sprintf("a stream ended in order behind %d requests (and a part of one: %t), and not with the client's last", n, p.torn))
		}
	}
	complain(t, v.problems)
}

// complain reports the first few problems.
func complain(t *testing.T, problems []string) {
	t.Helper()
	const few = 5
	for _, p := range problems[:min(few, len(problems))] {
		t.Error(p)
	}
	if n := len(problems) - few; n > 0 {
		t.Errorf("and %d more", n)
	}
}
