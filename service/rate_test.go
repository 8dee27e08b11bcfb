package service

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// begun is how many of the connections that begin so far apart a rate takes.
func begun(t *testing.T, perSecond int, apart, during time.Duration) (n int) {
	t.Helper()
	r, err := NewRate(perSecond)
	if err != nil {
		t.Fatal(err)
	}
	for at := time.Duration(0); at < during; at += apart {
		if r.Takes(time.Unix(1000, 0).Add(at)) {
			n++
		}
	}
	return n
}

func TestRateIsABucketOfOneSecond(t *testing.T) {
	for _, row := range []struct {
		name          string
		perSecond     int
		apart, during time.Duration
		want          int
	}{
		{"no limit", 0, time.Millisecond, time.Second, 1000},
		{"slower than the rate", 50, 25 * time.Millisecond, 4 * time.Second, 160},
		{"the bucket first, then the rate", 50, 5 * time.Millisecond, 4 * time.Second, 50 + 4*50 - 1},
		{"one a second", 1, 10 * time.Millisecond, 10 * time.Second, 10},
		{"the highest", MaxRate, time.Microsecond / 4, 2 * time.Millisecond, 8000},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := begun(t, row.perSecond, row.apart, row.during); got != row.want {
				t.Errorf("%d begin, want %d", got, row.want)
			}
		})
	}
}

// A burst has one second's connections, whoever asks; after a pause there are no more.
func TestRateIsSharedAndDoesNotSave(t *testing.T) {
	r, err := NewRate(100)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Time{time.Unix(1000, 0), time.Unix(2000, 0)} {
		var taken atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 1000 {
					if r.Takes(at) {
						taken.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if n := taken.Load(); n != 100 {
			t.Errorf("a burst has %d connections", n)
		}
	}
}

func TestRateRefusesWhatIsNone(t *testing.T) {
	for _, n := range []int{-1, MaxRate + 1} {
		if _, err := NewRate(n); err == nil {
			t.Errorf("%d is taken for a rate", n)
		}
	}
}
