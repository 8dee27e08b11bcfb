package status

import (
	"slices"
	"time"

	"netmirror/stack"
)

// Severity says what a problem costs.
type Severity string

const (
	// Loss: something that a client sent has not reached the target, or not whole.
	Loss Severity = "loss"
	// Note: something is not as expected, and it may be as wanted.
	Note Severity = "note"
)

// Problem is something that an operator may want to look after.
type Problem struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	Count    uint64   `json:"count"`  // since the start
	Recent   uint64   `json:"recent"` // in the last minute
	Last     int64    `json:"last"`   // when it was last seen to grow, Unix milliseconds
	Text     string   `json:"text"`
	Remedy   string   `json:"remedy"`
}

// rule is how a problem is recognised: its count grows.
type rule struct {
	id       string
	severity Severity
	because  []string // others that it may come of: while they grow, the log leaves it out
	count    func(*Snapshot) uint64
	text     string // behind a number
	remedy   string
}

func dropped(d stack.Drop) func(*Snapshot) uint64 {
	return func(s *Snapshot) uint64 { return s.Stack.Dropped[d] }
}

func outcome(name string) func(*Snapshot) uint64 {
	return func(s *Snapshot) uint64 { return s.Bridge.Outcomes[name] }
}

// rules are in the order of their weight. What they say is of the packets and
// streams that they count, whose number stands before it.
var rules = []rule{
	{"ring_full", Loss, nil, func(s *Snapshot) uint64 { return s.Ring.Drops },
		"packets found the ring full, and what they carried is lost",
		"give netmirror more processor time (fewer neighbours, more --workers), then a larger --ring-mib; or mirror fewer hosts to one netmirror"},
	{"target_refused", Loss, []string{"target_refused"}, // which bridge logs itself
		outcome("target-refused"),
		"streams were given up because the target took no connection",
		"see that the service at --to runs and is reachable from here; netmirror check tries it"},
	{"truncated", Loss, nil, (*Snapshot).truncated,
		"packets were cut by the mirror, and the streams that they are of are lost",
		"keep the MTU of the mirrored hosts at 8947 or less (8486 behind a network load balancer), and set no PacketLength on the mirror session"},
	{"gap", Loss, []string{"ring_full", "truncated"}, outcome("gap"),
		"streams were reset because the mirror has lost a packet of theirs",
		"a mirror drops its packets first where a host or its network is busy: look at the mirrored host's bandwidth, and at the drops of this host's interface (ethtool -S)"},
	{"target_slow", Loss, nil, outcome("target-slow"),
		"streams were reset because the target took nothing for too long",
		"give the target more capacity, or raise --write-timeout"},
	{"target_closed", Loss, []string{"target_refused"}, func(s *Snapshot) uint64 { return s.Stack.Dropped[stack.DropTargetEnded] },
		"packets went down with connections that the target closed before the client did",
		"look into the target's log; its keep-alive limits should not be below those of the real service"},
	{"max_conns", Loss, nil, func(s *Snapshot) uint64 { return s.Bridge.TurnedAway },
		"streams found as many connections to the target open as there may be",
		"raise --max-conns"},
	{"max_flows", Loss, nil, dropped(stack.DropFlowLimit),
		"packets were of connections beyond those that may be followed",
		"raise --max-flows, and --total-mib by 20 KiB for each"},
	{"total_budget", Loss, nil, dropped(stack.DropTotalBudget),
		"packets went down because all connections together held more than they may",
		"raise --total-mib, or see why the target takes so little"},
	{"flow_budget", Loss, nil, dropped(stack.DropFlowBudget),
		"packets went down because their connection held more than it may",
		"raise --flow-kib, or see why the target takes so little"},
	{"bad_checksum", Loss, nil, dropped(stack.DropBadChecksum),
		"packets were dropped for a wrong TCP checksum",
		"where the mirrored host leaves checksums to its network card in a way that is not recognised, use --verify-checksums never"},
	{"fragments", Loss, nil, (*Snapshot).fragments,
		"fragments of the mirror's packets never became whole",
		"raise the MTU between the mirror and here, so that its packets need no fragments"},
	{"cut", Loss, nil, func(s *Snapshot) uint64 { return s.Ring.Cut },
		"packets did not fit into the ring whole",
		"turn off receive offload on the interface (ethtool -K NAME gro off)"},
	{"idle", Loss, nil, outcome("idle"),
		"streams were reset because their client was silent for too long",
		"raise --idle-timeout, if such connections are to be kept"},
	{"broken", Note, nil, (*Snapshot).broken,
		"packets could not be read",
		"find out what else is sent to the mirror's UDP port; the reasons are under drop_ in the log"},
	{"mid_stream", Note, nil, dropped(stack.DropMidStream),
		"packets were of connections in which no stream could begin",
		"nothing, where connections older than netmirror are not HTTP/1, or --midstream is off; else the mirror loses packets"},
	{"half_open", Note, nil, func(s *Snapshot) uint64 { return s.Stack.HalfOpenLost },
		"connection attempts were forgotten to remember newer ones",
		"expect this in a SYN flood; else raise --max-half-open"},
}

// nothingAfter is how long to wait for a first packet before saying so.
const nothingAfter = 30 * time.Second

// silence and those that follow are problems that are there or not, and have no count.
var silence = rule{id: "silence", severity: Note,
	text: "no packet of the service has come so far",
	remedy: "run netmirror check with the same flags: it tells which VNIs, ports and directions the mirror brings; " +
		"the mirror's UDP port (--vxlan-port) must be let in from its sources"}

var onesided = rule{id: "one_direction", severity: Note,
	text:   "no packet from the clients has come, only the server's answers",
	remedy: "have the mirror session take both directions, or the one towards the service: netmirror forwards what clients send"}

var linkDown = rule{id: "link_down", severity: Loss,
	text:   "the interface is down, and nothing can be captured",
	remedy: "see why, or run: ip link set dev NAME up; the capture goes on by itself"}

// watch finds problems by comparing figures over time. It is used by one
// goroutine at a time.
type watch struct {
	timeline
	seen map[string]*sighting

	// Of both directions in the last minute: packets, and payload of clients.
	clients, servers, payload growth
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

// sighting is what is known of one problem.
type sighting struct {
	problem Problem
	logNext time.Time // not in the log before
	logged  uint64    // count that was logged last
	minute  window
}

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

// order is that of the problems when they are shown.
var order = func() []string {
	ids := []string{linkDown.id, silence.id, onesided.id}
	for _, r := range rules {
		ids = append(ids, r.id)
	}
	return ids
}()

// recent is how much of a problem's count came in the last d, a minute at most.
func (w *watch) recent(id string, now time.Time, d time.Duration) uint64 {
	if at := w.seen[id]; at != nil {
		return at.minute.since(w.since(now), d)
	}
	return 0
}
