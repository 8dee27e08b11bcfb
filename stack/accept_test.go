package stack

import (
	"testing"
	"time"
)

// Whoever captures waits for whoever plays the streams where he is far behind, and goes
// on as soon as he is not; he waits for nobody where few streams wait.
func TestCaptureWaitsWhereManyStreamsDo(t *testing.T) {
	var q acceptQueue
	q.init()
	fill := func(n int) {
		for range n {
			q.put(new(Conn))
		}
	}
	waited := func() time.Duration {
		begin := time.Now()
		q.await()
		return time.Since(begin)
	}
	fill(maxUnaccepted + 1)
	if d := waited(); d < acceptPatience {
		t.Errorf("with nobody to take streams it waited %v, want %v", d, acceptPatience)
	}
	for range maxUnaccepted/2 + 1 {
		if c, err := q.get(); c == nil || err != nil {
			t.Fatal(c, err)
		}
	}
	select {
	case <-q.fewer:
	default:
		t.Error("it is not told that half of them are gone")
	}
	q.await()
	if q.waits {
		t.Error("it waits for few streams")
	}
}
