package bridge

import (
	"io"
	"testing"
)

// What waits to be encrypted for targets that read nothing is bounded, and a stream
// to another one arrives all the same.
func TestPiecesOfManyBlockedTargets(t *testing.T) {
	const blocked = 2000
	before := memory()
	taken := make([]piece, blocked)
	for i := range taken {
		taken[i] = newPiece(make([]byte, bufferSize))
	}
	if heap, _ := memory().sub(before); heap > 16<<20+blocked*(8<<10) {
		t.Errorf("%d pieces hold %d bytes", blocked, heap)
	}

	g := newSecure(t)
	h := g.serve(t, Config{})
	data := random(1 << 20)
	s := h.open(t, data)
	s.end(io.EOF)
	c := g.accept(t)
	expect(t, c, data, nil)
	c.Close()
	want(t, "outcome", s.outcome(t), "complete")

	for i := range taken {
		taken[i].release()
	}
	want(t, "large pieces in use", large.Load(), int32(0))
}
