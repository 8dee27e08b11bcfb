package pipeline

import (
	"math"
	"runtime/debug"
)

const (
	// baseMemory is what the process needs with no connection open, in bytes, the
	// sources aside.
	baseMemory = 32 << 20
	// program is the part of it that the collector does not know of: the code, and
	// what the kernel keeps for the process.
	program = 16 << 20
)

// memory keeps the process within Config.TotalBytes: a part is for packets that are held, and
// the garbage collector keeps the heap within the whole.
type memory struct {
	total int64 // Config.TotalBytes
	limit int64 // the collector's, in force; 0 at first
}

// stackBytes is what the stack may take. The collector needs the rest as
// headroom: near its limit it works for little gain.
func (m *memory) stackBytes() int { return int(max(m.total-baseMemory-program, m.total/2) / 4 * 3) }

// follow sets the collector's limit. It is below the whole by a sixteenth, because the
// collector exceeds it if the program gets less of the processors than it needs. If so many
// connections are open that they alone need more than the whole (fixed, in bytes), the limit
// gives way. Setting it stops the program for a moment, so small changes are left alone.
func (m *memory) follow(fixed int) {
	want := max(m.total/16*15, baseMemory+m.total/4+int64(fixed)*4/3, 4*program) - program
	if math.Abs(float64(want-m.limit)) > float64(m.limit)/16 {
		debug.SetMemoryLimit(want)
		m.limit = want
	}
}
