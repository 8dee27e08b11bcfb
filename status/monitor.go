package status

import (
	"log/slog"
	"strings"
	"sync"
	"time"

	"netmirror/outcome"
	"netmirror/stack"
)

// Source is what is looked at. Its functions may be called from any goroutine.
type Source struct {
	Snapshot func() Snapshot
	Flows    func() []stack.FlowInfo
}

// Config says what a Monitor watches and shows.
type Config struct {
	Source   Source
	Version  string
	Log      *slog.Logger // nil: none
	Target   string       // as it is shown
	Capture  Capture
	Settings []Setting
	// Alert is when the headline is amber and red; zero: DefaultAlert.
	Alert Alert
	// ReadyDrops makes Ready report false for 10 s after the ring has dropped a packet.
	ReadyDrops bool
}

// Monitor keeps what is known of a running netmirror. Look has to be called about
// once a second; everything else may be called from any goroutine.
type Monitor struct {
	cfg Config
	timeline
	down []string // the interfaces that were down when Report last looked

	mu      sync.Mutex // guards the fields below
	phase   Phase
	reloads Reloads
	last    Snapshot
	watch   *watch
	head    *headline
	history history

	freshMu sync.Mutex // guards fresh; held while it is taken
	fresh   Snapshot   // for the metrics

	flowsMu sync.Mutex // guards flows; held while they are fetched and sorted
	flows   listing
}

// NewMonitor starts with the phase Starting.
func NewMonitor(c Config) *Monitor {
	now := time.Now()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Alert == (Alert{}) {
		c.Alert = DefaultAlert
	}
	return &Monitor{cfg: c, timeline: timeline{now}, phase: Starting, watch: newWatch(now), head: newHeadline(now), last: Snapshot{Time: now}}
}

// Enter says that a new phase has begun.
func (m *Monitor) Enter(p Phase) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase = p
}

// Look returns a snapshot, and the problems that the log should report now: each at most once a
// minute, silence more and more seldom. Count is the number since the last report.
func (m *Monitor) Look() (*Snapshot, []Problem) {
	s := m.cfg.Source.Snapshot()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.head.look(&s)
	m.last = s
	m.history.add(&s, m.timeline)
	return &s, m.watch.look(&s)
}

// freshFor is for how long a snapshot will do for the metrics, so that whoever asks
// for them over and over takes little of the stages' time.
const freshFor = 100 * time.Millisecond

func (m *Monitor) snapshot() Snapshot {
	m.freshMu.Lock()
	defer m.freshMu.Unlock()
	if time.Since(m.fresh.Time) >= freshFor {
		m.fresh = m.now()
	}
	m.fresh.Reloads = m.reloaded()
	return m.fresh
}

// now is a snapshot of this moment, with its headline.
func (m *Monitor) now() Snapshot {
	s := m.cfg.Source.Snapshot()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.head.look(&s)
	return s
}

// readyDropsFor is how long netmirror is not ready after the ring dropped.
const readyDropsFor = 10 * time.Second

// Ready reports whether netmirror captures, and why not.
func (m *Monitor) Ready() (ok bool, why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.readyLocked(time.Now())
}

func (m *Monitor) readyLocked(now time.Time) (ok bool, why string) {
	switch {
	case m.phase == Starting:
		return false, "starting: not capturing yet"
	case m.phase == Draining:
		return false, "draining: the capture has ended, what was captured is being delivered"
	case len(m.last.Ring.Down) > 0:
		return false, "an interface is down or has no carrier: " + strings.Join(m.last.Ring.Down, ", ")
	case m.cfg.ReadyDrops && m.watch.recent(outcome.ProblemRingFull, now, readyDropsFor) > 0:
		return false, "the ring has dropped packets in the last 10 s"
	}
	return true, ""
}
