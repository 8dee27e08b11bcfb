package main

import (
	"slices"
	"testing"
	"time"
)

func TestOneProcessorWhileItIsEnough(t *testing.T) {
	begin := time.Unix(1_700_000_000, 0)
	var set []int
	p := &processors{all: 8, set: func(n int) { set = append(set, n) }}
	p.busy.Store(begin.UnixNano())
	at := func(seconds float64) time.Time { return begin.Add(time.Duration(seconds * float64(time.Second))) }
	want := func(what string, n ...int) {
		t.Helper()
		if !slices.Equal(set, n) {
			t.Fatalf("%s: set to %v, want %v", what, set, n)
		}
	}
	var l load
	p.look(at(4.9))
	want("at first all are in use")
	p.batch(&l, 1000, false, at(4.95))
	p.look(at(5))
	want("after 5 s with little to do", 1)
	for i := range 100 { // three in a row, and a pause
		p.batch(&l, 1000, i%4 != 3, at(6))
	}
	want("batches that wait for one another now and then", 1)
	p.batch(&l, busyBytes, false, at(7))
	want("a large batch", 1, 8)
	p.batch(&l, busyBytes, false, at(8))
	p.look(at(12.9))
	want("a further one", 1, 8)
	p.look(at(13))
	want("5 s later", 1, 8, 1)
	for range busyStreak {
		p.batch(&l, 100, true, at(14))
	}
	want("batches that pile up", 1, 8, 1, 8)
	single := &processors{all: 1, set: func(int) { t.Error("with --threads 1 there is nothing to change") }}
	single.look(at(100))
	single.batch(&l, busyBytes, true, at(101))
}
