package bridge

import (
	"sync"
	"sync/atomic"
)

// piece is what is encrypted at a time. It is in use until the socket has taken it: an idle
// connection has none, but the one to a target that reads nothing has it for long.
type piece struct {
	bytes []byte
	large *[bufferSize]byte // the memory of bytes: one of the two
	small *[smallPiece]byte
}

const (
	// maxLarge is how many large pieces there may be in the process: 16 MiB. If more
	// connections than that wait for their targets, the others get small ones, for which the
	// share of the budget that each connection has is enough.
	maxLarge   = 256
	smallPiece = 4 << 10
)

var (
	largePieces = sync.Pool{New: func() any { return new([bufferSize]byte) }}
	smallPieces = sync.Pool{New: func() any { return new([smallPiece]byte) }}
	large       atomic.Int32 // pieces in use
)

// newPiece copies as much of p as it can hold.
func newPiece(p []byte) piece {
	if len(p) > smallPiece {
		if large.Add(1) <= maxLarge {
			b := largePieces.Get().(*[bufferSize]byte)
			return piece{bytes: b[:copy(b[:], p)], large: b}
		}
		large.Add(-1)
	}
	b := smallPieces.Get().(*[smallPiece]byte)
	return piece{bytes: b[:copy(b[:], p)], small: b}
}

// release gives the memory back.
func (p *piece) release() {
	if p.large == nil {
		smallPieces.Put(p.small)
		return
	}
	largePieces.Put(p.large)
	large.Add(-1)
}
