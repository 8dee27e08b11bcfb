package stack

import (
	"testing"
	"time"
)

// A client may write a request line in pieces, for longer than a hole is waited for.
func TestARequestLineThatIsWrittenSlowly(t *testing.T) {
	s := newTimed(t, nil)
	c := newClient(t, 5000)
	const get = "GET /a/page/with/a/long/name HTTP/1.1\r\n\r\n"
	for i := range len(get) {
		s.Inject([]Segment{c.data(i, []byte(get[i:i+1]))})
		s.pass(40 * time.Millisecond) // longer would be a pause, as behind a probe
	}
	s.pass(100 * time.Millisecond)
	s.Inject([]Segment{c.fin(len(get))})
	s.pass(3 * time.Second)
	s.is(c, text(get, nil))
}
