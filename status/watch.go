package status

import (
	"slices"
	"time"

	"netmirror/outcome"
)

// nothingAfter is how long to wait for a first packet before saying so.
const nothingAfter = 30 * time.Second

// watch finds problems by comparing figures over time. It is used by one
// goroutine at a time.
type watch struct {
	timeline
	seen [outcome.NumProblems]*sighting // nil: not so far

	// Of both directions in the last minute: packets, and payload of clients.
	clients, servers, payload growth

	unheard unheard
}

// sighting is what is known of one problem.
type sighting struct {
	problem Problem
	logNext time.Time     // not in the log before
	logged  uint64        // count that was logged last
	pause   time.Duration // between the last line and logNext, of a problem that is there or not
	minute  window
	counts  map[string]uint64 // of each of several services, when it was logged last
}

func newWatch(begin time.Time) *watch {
	return &watch{timeline: timeline{begin}}
}

// logEvery is the least time between two lines about the same problem. Where it may be meant to
// stay, each pause is twice the one before, up to logSeldom.
const (
	logEvery  = time.Minute
	logSeldom = time.Hour
)

// look compares s with what was seen before and returns what is to be logged
// now, with the numbers since the line before as Count.
func (w *watch) look(s *Snapshot) (log []Problem) {
	for p := range outcome.NumProblems {
		if count := rules[p].count; count != nil && count(s) > 0 {
			log = w.sighted(p, s, log)
		}
	}
	silent, leftOut := w.unheard.look(s, nothingAfter)
	nothing := s.Frames == 0 && w.since(s.Time) >= nothingAfter
	if nothing {
		silent = nil // not of some services alone
	}
	before := len(log)
	w.condition(outcome.ProblemSilence, silence(silent), s.Time, nothing || len(silent) > 0, &log)
	w.unheard.told(s, silent, len(log) > before)
	w.condition(outcome.ProblemLeftOut, allLeftOut(leftOut), s.Time, len(leftOut) > 0, &log)
	w.condition(outcome.ProblemLinkDown, linkDown(s.Ring.Down), s.Time, len(s.Ring.Down) > 0, &log)
	w.condition(outcome.ProblemOneDirection, newProblem(outcome.ProblemOneDirection), s.Time, w.serversAlone(s), &log)
	return log
}

// serversAlone reports whether the packets of the last minute are the servers', but
// for what scanners and the like send. Where a connection is only kept alive, each of
// the server's packets has an answer.
func (w *watch) serversAlone(s *Snapshot) bool {
	now := w.since(s.Time)
	servers := s.Stack.Dropped[outcome.DropReverse]
	w.servers.see(now, servers)
	w.clients.see(now, s.Stack.Packets-servers)
	w.payload.see(now, s.Stack.Bytes)
	return now >= nothingAfter && w.payload.minute(now) == 0 && w.servers.minute(now) > 10*max(w.clients.minute(now), 1)
}

func (w *watch) sighted(which outcome.Problem, s *Snapshot, log []Problem) []Problem {
	n, now := rules[which].count(s), s.Time
	at := w.seen[which]
	if at == nil {
		at = &sighting{problem: newProblem(which)}
		w.seen[which] = at
	}
	p := &at.problem
	if n > p.Count {
		at.whose(rules[which].of, s)
		at.minute.add(w.since(now), n-p.Count)
		p.Count, p.Last = n, w.milli(now)
	}
	p.Recent = at.minute.since(w.since(now), time.Minute)
	if w.explained(which, now) {
		at.logged = p.Count
	}
	if p.Count == at.logged || now.Before(at.logNext) {
		return log
	}
	line := *p
	line.Count -= at.logged
	at.logged, at.logNext = p.Count, now.Add(logEvery)
	at.count(rules[which].of, s)
	return append(log, line)
}

// whose names the services that have more of a problem than when it was logged last.
func (at *sighting) whose(of func(*Service) uint64, s *Snapshot) {
	if of == nil || len(s.Services) < 2 {
		return
	}
	at.problem.Services = nil // the log may have the list
	for i := range s.Services {
		if f := &s.Services[i]; of(f) > at.counts[f.Name] {
			at.problem.Services = append(at.problem.Services, f.Name)
		}
	}
}

// count notes how much of a problem the services have, which is logged now.
func (at *sighting) count(of func(*Service) uint64, s *Snapshot) {
	if of == nil || len(s.Services) < 2 {
		return
	}
	at.counts = make(map[string]uint64, len(s.Services))
	for i := range s.Services {
		at.counts[s.Services[i].Name] = of(&s.Services[i])
	}
}

// explained reports whether p comes of something that is told already.
func (w *watch) explained(p outcome.Problem, now time.Time) bool {
	return slices.ContainsFunc(rules[p].because, func(other outcome.Problem) bool { return w.recent(other, now, time.Minute) > 0 })
}

// condition keeps a problem that is there or not, as it is told now.
func (w *watch) condition(p outcome.Problem, told Problem, now time.Time, there bool, log *[]Problem) {
	if !there {
		w.seen[p] = nil
		return
	}
	if w.seen[p] == nil {
		w.seen[p] = new(sighting)
	}
	at := w.seen[p]
	if at.problem.Text != told.Text && at.pause > 0 { // of other services
		at.logNext, at.pause = at.logNext.Add(logEvery-at.pause), 0
	}
	at.problem = told
	at.problem.Last = w.milli(now)
	if now.Before(at.logNext) {
		return
	}
	if p == outcome.ProblemSilence || p == outcome.ProblemLeftOut {
		at.pause = min(2*at.pause, logSeldom)
	}
	at.pause = max(at.pause, logEvery)
	at.logNext = now.Add(at.pause)
	*log = append(*log, at.problem)
}

// problems are those that were seen, the most serious first.
func (w *watch) problems(now time.Time) []Problem {
	all := []Problem{} // for JSON, in which nil is null
	for _, at := range w.seen {
		if at != nil {
			p := at.problem
			p.Recent = at.minute.since(w.since(now), time.Minute)
			all = append(all, p)
		}
	}
	return all
}

// recent is how much of a problem's count came in the last d, a minute at most.
func (w *watch) recent(p outcome.Problem, now time.Time, d time.Duration) uint64 {
	if at := w.seen[p]; at != nil {
		return at.minute.since(w.since(now), d)
	}
	return 0
}
