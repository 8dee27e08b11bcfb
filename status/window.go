package status

import "time"

// window is a count's past minute.
type window struct {
	at     [12]int64 // which span of 5 s
	counts [12]uint64
}

const windowSpan = 5 * time.Second

// add counts n at a time since the beginning, which the clock of the wall has no
// part in.
func (w *window) add(now time.Duration, n uint64) {
	span := int64(max(now, 0) / windowSpan)
	i := span % int64(len(w.at))
	if w.at[i] != span {
		w.at[i], w.counts[i] = span, 0
	}
	w.counts[i] += n
}

// since is the sum of the spans that begin after now-d.
func (w *window) since(now, d time.Duration) (sum uint64) {
	first := int64(0)
	if now >= d {
		first = int64((now-d)/windowSpan) + 1
	}
	for i, at := range w.at {
		if at >= first {
			sum += w.counts[i]
		}
	}
	return sum
}

// growth is how much a counter grew in the last minute.
type growth struct {
	last uint64
	window
}

func (g *growth) see(now time.Duration, n uint64) {
	g.add(now, n-min(g.last, n))
	g.last = n
}

func (g *growth) minute(now time.Duration) uint64 { return g.since(now, time.Minute) }
