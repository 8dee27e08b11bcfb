package status

import (
	"slices"
	"time"

	"netmirror/stack"
)

// nothingAfter is how long to wait for a first packet before saying so.
const nothingAfter = 30 * time.Second

// watch finds problems by comparing figures over time. It is used by one
// goroutine at a time.
type watch struct {
	timeline
	seen map[string]*sighting

	// Of both directions in the last minute: packets, and payload of clients.
	clients, servers, payload growth
}

// sighting is what is known of one problem.
type sighting struct {
	problem Problem
	logNext time.Time // not in the log before
	logged  uint64    // count that was logged last
	minute  window
}

func newWatch(begin time.Time) *watch {
	return &watch{timeline: timeline{begin}, seen: make(map[string]*sighting)}
}

// logEvery is the least time between two lines about the same problem.
const logEvery = time.Minute

// look compares s with what was seen before and returns what is to be logged
// now, with the numbers since the line before as Count.
func (w *watch) look(s *Snapshot) (log []Problem) {
	for i := range rules {
		r := &rules[i]
		if n := r.count(s); n > 0 {
			log = w.sighted(r, n, s.Time, log)
		}
	}
	w.condition(&silence, s.Time, s.Frames == 0 && w.since(s.Time) >= nothingAfter, &log)
	w.condition(&linkDown, s.Time, s.LinkDown, &log)
	w.condition(&onesided, s.Time, w.serversAlone(s), &log)
	return log
}

// serversAlone reports whether the packets of the last minute are the servers', but
// for what scanners and the like send. Where a connection is only kept alive, each of
// the server's packets has an answer.
func (w *watch) serversAlone(s *Snapshot) bool {
	now := w.since(s.Time)
	servers := s.Stack.Dropped[stack.DropReverse]
	w.servers.see(now, servers)
	w.clients.see(now, s.Stack.Packets-servers)
	w.payload.see(now, s.Stack.Bytes)
	return now >= nothingAfter && w.payload.minute(now) == 0 && w.servers.minute(now) > 10*max(w.clients.minute(now), 1)
}

func (w *watch) sighted(r *rule, n uint64, now time.Time, log []Problem) []Problem {
	at := w.seen[r.id]
	if at == nil {
		at = &sighting{problem: Problem{ID: r.id, Severity: r.severity, Text: r.text, Remedy: r.remedy}}
		w.seen[r.id] = at
	}
	p := &at.problem
	if n > p.Count {
		at.minute.add(w.since(now), n-p.Count)
		p.Count, p.Last = n, w.milli(now)
	}
	p.Recent = at.minute.since(w.since(now), time.Minute)
	if w.explained(r, now) {
		at.logged = p.Count
	}
	if p.Count == at.logged || now.Before(at.logNext) {
		return log
	}
	line := *p
	line.Count -= at.logged
	at.logged, at.logNext = p.Count, now.Add(logEvery)
	return append(log, line)
}

// explained reports whether r comes of something that is told already.
func (w *watch) explained(r *rule, now time.Time) bool {
	return slices.ContainsFunc(r.because, func(id string) bool { return w.recent(id, now, time.Minute) > 0 })
}

// condition keeps a problem that is there or not.
func (w *watch) condition(r *rule, now time.Time, there bool, log *[]Problem) {
	at := w.seen[r.id]
	if !there {
		delete(w.seen, r.id)
		return
	}
	if at == nil {
		at = &sighting{}
		w.seen[r.id] = at
	}
	at.problem = Problem{ID: r.id, Severity: r.severity, Text: r.text, Remedy: r.remedy, Last: w.milli(now)}
	if !now.Before(at.logNext) {
		at.logNext = now.Add(logEvery)
		*log = append(*log, at.problem)
	}
}

// problems are those that were seen, the weightiest first.
func (w *watch) problems(now time.Time) []Problem {
	all := make([]Problem, 0, len(w.seen))
	for _, id := range order {
		if at := w.seen[id]; at != nil {
			p := at.problem
			p.Recent = at.minute.since(w.since(now), time.Minute)
			all = append(all, p)
		}
	}
	return all
}

// recent is how much of a problem's count came in the last d, a minute at most.
func (w *watch) recent(id string, now time.Time, d time.Duration) uint64 {
	if at := w.seen[id]; at != nil {
		return at.minute.since(w.since(now), d)
	}
	return 0
}
