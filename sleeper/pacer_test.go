package sleeper

import (
	"testing"
	"time"
)

const testTimeout = time.Millisecond // of a block

// pacing is a Pacer with both its clocks, which are an hour apart.
type pacing struct {
	Pacer
	t   *testing.T
	now time.Time
}

func newPacing(t *testing.T) *pacing {
	return &pacing{Pacer: Pacer{Pauses: 2 * testTimeout}, t: t, now: time.Unix(1_700_000_000, 0)}
}

func (p *pacing) pass(ms float64) { p.now = p.now.Add(time.Duration(ms * float64(time.Millisecond))) }

// read is of a block that began so many milliseconds ago.
func (p *pacing) read(ago float64) {
	p.Block(p.now.Add(-time.Hour-time.Duration(ago*float64(time.Millisecond))), p.now)
}

// looks checks that the next look is so many milliseconds from now; 0: at once.
func (p *pacing) looks(ms float64) {
	p.t.Helper()
	away := p.next(p.now)
	var got time.Duration
	if away {
		got = p.until.Sub(p.now)
	}
	if want := time.Duration(ms * float64(time.Millisecond)); got != want {
		p.t.Fatalf("the next look is in %v, want %v", got, want)
	}
}

// few reads blocks that follow one another closely, but too few for a pause.
func (p *pacing) few() {
	p.t.Helper()
	for range enough + 1 {
		p.read(1)
		p.pass(0.1) // for what is in it
		p.looks(0)
		p.pass(0.9)
	}
}

// A block each millisecond is looked for every other time.
func TestPacerLooksForTwo(t *testing.T) {
	p := newPacing(t)
	p.looks(0)
	p.few()
	p.read(1)
	p.pass(0.1)
	p.looks(1.9) // by when the block was handed over
	p.pass(2.3)  // woken late
	p.read(2.4)
	p.read(1.4)
	p.looks(1.6)
	p.pass(0.5) // another ring's reader, behind the first
	p.looks(1.1)
	p.pass(1.1)
	for range 2 { // nothing comes
		p.looks(2)
		p.pass(2)
	}
	p.looks(0)
	p.pass(1000.1)
	p.few()
	p.read(1)
	p.looks(2) // from now, not in the old step
}

// Now and then a block is waited for, so that a step that begins between two
// blocks does not last.
func TestPacerFindsTheStep(t *testing.T) {
	p := newPacing(t)
	p.few()
	p.pass(0.7) // late
	p.read(1.7)
	pauses := 0
	for ; p.next(p.now) && pauses < 10_000; pauses++ {
		p.now = p.until
		p.read(1.7)
		p.read(0.7)
	}
	if pauses != maxPauses {
		t.Fatalf("%d pauses in a row", pauses)
	}
	p.pass(0.3)
	p.read(1)
	p.looks(2)
}

func TestPacerLeavesSeldomBlocksAlone(t *testing.T) {
	p := newPacing(t)
	for range 10 {
		p.read(1)
		p.looks(0)
		p.pass(2)
	}
}

// The blocks of two rings are read in any order.
func TestPacerOfManyRings(t *testing.T) {
	p := newPacing(t)
	p.few()
	p.read(1)
	p.read(1.9)
	p.looks(2)
	p.pass(2)
	p.read(0.5)
	p.read(2.9) // further apart than that
	p.looks(2)
}

// When the clock that blocks are stamped by is set, or the process was kept from
// running, nothing but a pause or two comes of it.
func TestPacerAndTheClock(t *testing.T) {
	p := newPacing(t)
	for range 2 {
		p.few()
		p.read(1)
		p.looks(2)
		p.pass(2)
		p.read(time.Hour.Seconds() * 1000)
		p.pass(2)
		p.looks(0)
	}
	p.few()
	p.read(1)
	p.looks(2)
	p.pass(100)
	p.looks(0)
}

func TestPacerWithoutPauses(t *testing.T) {
	p := newPacing(t)
	p.Pauses = 0
	for range 3 {
		p.read(0)
		p.looks(0)
	}
}
