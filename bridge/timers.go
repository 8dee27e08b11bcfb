package bridge

import "container/heap"

// timers are the streams that wait for a time, the earliest first. A stream waits
// for one time at most; what is due then, its phase says.
type timers []*stream

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due < t[j].due }

func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].timer, t[j].timer = i, j
}

func (t *timers) Push(x any) {
	s := x.(*stream)
	s.timer = len(*t)
	*t = append(*t, s)
}

func (t *timers) Pop() any {
	last := len(*t) - 1
	s := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	s.timer = noTimer
	return s
}

// noTimer is a stream's place in timers where it is not in there.
const noTimer = -1

// set has s wait for a time, and for no other.
func (t *timers) set(s *stream, due int64) {
	s.due = due
	if s.timer == noTimer {
		heap.Push(t, s)
	} else {
		heap.Fix(t, s.timer)
	}
}

func (t *timers) stop(s *stream) {
	if s.timer != noTimer {
		heap.Remove(t, s.timer)
	}
}
