package lab

import (
	"bytes"
	"testing"
)

// coverage is that of a stream's pieces, by offset and length, in the order
// that they came.
func coverage(pieces ...[2]int) *Coverage {
	const isn = 0xffff_fffa // the numbers wrap within the stream
	stream := []byte("0123456789abcdef")
	c := &Coverage{base: isn}
	c.add(Segment{Seq: isn, SYN: true})
	for _, p := range pieces {
		c.add(Segment{Seq: isn + 1 + uint32(p[0]), Payload: stream[p[0] : p[0]+p[1]]})
	}
	c.sort()
	return c
}

func TestCoverage(t *testing.T) {
	for _, tt := range []struct {
		name   string
		pieces [][2]int
		at, n  int // of the stream
		whole  bool
		runs   string // divided by blanks
	}{
		{"one segment covers its middle", [][2]int{{0, 16}}, 3, 5, true, "0123456789abcdef"},
		{"neighbors cover what is in both", [][2]int{{0, 8}, {8, 8}}, 6, 4, true, "0123456789abcdef"},
		{"a late segment counts", [][2]int{{0, 4}, {8, 8}, {4, 4}}, 0, 16, true, "0123456789abcdef"},
		{"overlaps and repeats count once", [][2]int{{0, 8}, {4, 8}, {2, 2}, {10, 6}, {0, 8}}, 0, 16, true, "0123456789abcdef"},
		{"a hole in the middle", [][2]int{{0, 4}, {8, 8}}, 2, 8, false, "0123 89abcdef"},
		{"a hole behind does not matter", [][2]int{{0, 4}, {8, 8}}, 0, 4, true, "0123 89abcdef"},
		{"the last byte is missing", [][2]int{{0, 15}}, 8, 8, false, "0123456789abcde"},
		{"the first byte is missing", [][2]int{{1, 15}}, 0, 4, false, "123456789abcdef"},
		{"nothing came", nil, 0, 1, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := coverage(tt.pieces...)
			if got := c.Whole(int64(1+tt.at), int64(tt.n)); got != tt.whole {
				t.Errorf("%d bytes from %d on are whole: %t", tt.n, tt.at, got)
			}
			if got := string(bytes.Join(c.Runs(), []byte(" "))); got != tt.runs {
				t.Errorf("runs %q, want %q", got, tt.runs)
			}
		})
	}
}
