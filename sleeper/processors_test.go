package sleeper

import (
	"slices"
	"testing"
	"time"
)

// ringBlock is what the kernel's ring hands over at a time, in bytes.
const ringBlock = 128 << 10

func TestOneProcessorWhileItIsEnough(t *testing.T) {
	begin := time.Unix(1_700_000_000, 0)
	var set []int
	p := &Processors{all: 8, late: busyAge, set: func(n int) { set = append(set, n) }, begin: begin}
	at := func(seconds float64) time.Time { return begin.Add(time.Duration(seconds * float64(time.Second))) }
	want := func(what string, n ...int) {
		t.Helper()
		if !slices.Equal(set, n) {
			t.Fatalf("%s: set to %v, want %v", what, set, n)
		}
	}
	var l Load
	p.Look(at(4.9))
	want("at first all are in use")
	p.Batch(&l, 1000, time.Millisecond, false, at(4.95))
	p.Look(at(5))
	want("after 5 s with little to do", 1)
	for i := range 900 {
		p.Batch(&l, ringBlock, time.Millisecond, false, at(5.05+float64(i)/1000))
	}
	want("1 Gbit/s for some time", 1)
	for i := range 100 { // 9 ms of them, and a pause
		p.Batch(&l, 1000, time.Millisecond, i%10 != 9, at(6+float64(i)/1000))
	}
	want("batches that wait for one another now and then", 1)
	for range 100 {
		p.Batch(&l, 1000, time.Millisecond, true, at(6.5))
	}
	p.Batch(&l, 1000, time.Millisecond, false, at(6.509))
	want("many at once, after a time without the processor", 1)
	p.Batch(&l, 1000, 49*time.Millisecond, false, at(6.51))
	want("for not too long", 1)
	flood := func(from float64) { // 2.1 Gbit/s for 30 ms, by two loops
		for i := range 30 {
			p.Batch(&l, 131_250, time.Millisecond, i%2 == 0, at(from+float64(i)/1000))
			p.Batch(new(Load), 131_250, time.Millisecond, i%2 == 0, at(from+float64(i)/1000))
		}
	}
	p.Batch(&l, ringBlock, time.Millisecond, false, at(6.8))
	p.Batch(&l, ringBlock, time.Millisecond, false, at(6.801))
	want("a burst", 1)
	flood(7)
	want("much, and more than two loops have each", 1, 8)
	flood(8)
	p.Look(at(18))
	want("one was too few soon after: 10 s now", 1, 8)
	p.Look(at(18.1))
	want("10 s later", 1, 8, 1)
	for i := range 12 {
		p.Batch(&l, 100, time.Millisecond, true, at(19+float64(i)/1000))
	}
	want("batches that pile up", 1, 8, 1, 8)
	p.Look(at(38.9))
	want("again too few: 20 s now", 1, 8, 1, 8)
	p.Look(at(39.1))
	want("after it", 1, 8, 1, 8, 1)
	flood(100)
	p.Look(at(105.1))
	want("after more than a minute with one, 5 s will do again", 1, 8, 1, 8, 1, 8, 1)
	p.Batch(&l, 1000, 50*time.Millisecond, false, at(200))
	want("a packet that had to wait", 1, 8, 1, 8, 1, 8, 1, 8)
	for name, fixed := range map[string]*Processors{"--threads 1": {all: 1}, "--busy-poll": {all: 8, fixed: true}} {
		fixed.set, fixed.begin = func(int) { t.Errorf("with %s there is nothing to change", name) }, begin
		fixed.Look(at(100))
		fixed.Batch(&l, ringBlock, time.Millisecond, true, at(101))
	}
}

// The first second is not spent on all cores: nothing has shown yet that one is too few.
func TestOneProcessorFromTheFirstLook(t *testing.T) {
	p := NewProcessors(false, time.Millisecond)
	var set []int
	p.all, p.set = 8, func(n int) { set = append(set, n) }
	p.Look(time.Now())
	if !slices.Equal(set, []int{1}) {
		t.Errorf("set to %v, want 1", set)
	}
}
