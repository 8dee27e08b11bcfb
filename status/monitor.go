package status

import (
	"slices"
	"sync"
	"time"

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
	Target   string // as it is shown
	Settings []Setting
	// ReadyDrops has Ready be false for 10 s after the ring has dropped a packet.
	ReadyDrops bool
}

// Monitor keeps what is known of a running netmirror. Look has to be called about
// once a second; everything else may be called from any goroutine.
type Monitor struct {
	cfg   Config
	begin time.Time

	mu      sync.Mutex // guards the fields below
	phase   Phase
	last    Snapshot
	watch   *watch
	history history

	freshMu sync.Mutex // guards fresh; held while it is taken
	fresh   Snapshot   // for the metrics

	flowsMu sync.Mutex // guards the fields below; held while the flows are fetched
	flowsAt time.Time
	flows   []stack.FlowInfo // is not changed any more once it is here
}

// NewMonitor starts with the phase Starting.
func NewMonitor(c Config) *Monitor {
	now := time.Now()
	return &Monitor{cfg: c, begin: now, phase: Starting, watch: newWatch(now), last: Snapshot{Time: now}}
}

// Enter says that a new phase has begun.
func (m *Monitor) Enter(p Phase) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.phase = p
}

// Look takes a snapshot, which it returns with the problems that a log should
// tell of now: each at most once a minute, with Count the number since the last
// time.
func (m *Monitor) Look() (*Snapshot, []Problem) {
	s := m.cfg.Source.Snapshot()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = s
	m.history.add(&s)
	return &s, m.watch.look(&s)
}

// freshFor is for how long a snapshot will do for the metrics, so that whoever asks
// for them over and over takes little of the stages' time.
const freshFor = 100 * time.Millisecond

func (m *Monitor) snapshot() Snapshot {
	m.freshMu.Lock()
	defer m.freshMu.Unlock()
	if time.Since(m.fresh.Time) >= freshFor {
		m.fresh = m.cfg.Source.Snapshot()
	}
	return m.fresh
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
	case m.cfg.ReadyDrops && m.watch.recent("ring_full", now, readyDropsFor) > 0:
		return false, "the ring has dropped packets in the last 10 s"
	}
	return true, ""
}

// liveFlows are the live connections of at most a second ago, oldest first.
func (m *Monitor) liveFlows() (at time.Time, flows []stack.FlowInfo) {
	m.flowsMu.Lock()
	defer m.flowsMu.Unlock()
	if now := time.Now(); m.flows == nil || now.Sub(m.flowsAt) >= time.Second {
		m.flows, m.flowsAt = m.cfg.Source.Flows(), now
		slices.SortFunc(m.flows, func(a, b stack.FlowInfo) int { return a.Opened.Compare(b.Opened) })
	}
	return m.flowsAt, m.flows
}
