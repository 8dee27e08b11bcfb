package status

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"netmirror/bridge"
	"netmirror/outcome"
	"netmirror/requests"
	"netmirror/service"
	"netmirror/source"
)

// figures makes snapshots at given seconds of a run.
type figures struct {
	begin time.Time
	s     Snapshot
}

func newFigures() *figures {
	f := &figures{begin: time.Unix(1_700_000_000, 0)}
	f.s.Frames, f.s.Stack.Packets = 1, 1
	return f
}

func (f *figures) at(second float64) *Snapshot {
	s := f.s
	s.Time = f.begin.Add(time.Duration(second * float64(time.Second)))
	return &s
}

// texts are the IDs of problems, each with its count.
func ids(all []Problem) string {
	var words []string
	for _, p := range all {
		words = append(words, p.ID)
	}
	return strings.Join(words, " ")
}

func TestAProblemIsLoggedOnceAMinute(t *testing.T) {
	f := newFigures()
	w := newWatch(f.begin)
	if log := w.look(f.at(0)); len(log) != 0 {
		t.Fatalf("nothing is wrong, but %v is logged", log)
	}
	var counts []uint64
	for second := 1; second <= 130; second++ {
		f.s.Ring.Drops += 10
		for _, p := range w.look(f.at(float64(second))) {
			if p.ID != "ring_full" || p.Severity != outcome.Loss || !strings.Contains(p.Remedy, "--ring-mib") {
				t.Errorf("%+v", p)
			}
			counts = append(counts, p.Count)
		}
	}
	// At second 1, 61 and 121: what came since the line before.
	if len(counts) != 3 || counts[0] != 10 || counts[1] != 600 || counts[2] != 600 {
		t.Errorf("lines with counts %v, want 10, 600 and 600", counts)
	}
	all := w.problems(f.at(130).Time)
	if len(all) != 1 || all[0].Count != 1300 || all[0].Recent < 550 || all[0].Recent > 600 || all[0].Last != f.at(130).Time.UnixMilli() {
		t.Errorf("%+v", all)
	}
	// An hour later it is history, but not forgotten.
	w.look(f.at(3600))
	if all = w.problems(f.at(3600).Time); len(all) != 1 || all[0].Count != 1300 || all[0].Recent != 0 {
		t.Errorf("an hour later: %+v", all)
	}
}

// quiet is a live line that nobody sees.
type quiet struct{}

func (quiet) Show(string)       {}
func (quiet) LostLines() uint64 { return 0 }

// An interface that is down is named, and its return is told.
func TestAnInterfaceThatIsDownIsNamed(t *testing.T) {
	var out bytes.Buffer
	f := newFigures()
	m := NewMonitor(Config{Log: slog.New(slog.NewTextHandler(&out, nil)), Source: Source{Snapshot: func() Snapshot { return *f.at(1) }}})
	said := func() string {
		out.Reset()
		m.tell(quiet{})
		return out.String()
	}
	f.s.Ring.Add(source.Stats{Down: []string{"eth1"}})
	f.s.Ring.Add(source.Stats{Down: []string{"eth1"}}) // another ring
	f.s.Ring.Add(source.Stats{Down: []string{"eth2"}})
	if got := said(); !strings.Contains(got, " iface=eth1,eth2 do=\"run: ip link set dev eth1 up; ip link set dev eth2 up;") {
		t.Errorf("said %q", got)
	}
	f.s.Ring.Down = []string{"eth2"}
	if got := said(); !strings.HasSuffix(got, "is up again, and the capture goes on\" iface=eth1\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("said %q", got)
	}
}

// A remedy for lost packets is of no use where they were lost here, or cut.
func TestWhatComesOfAnotherProblemIsNotLogged(t *testing.T) {
	f := newFigures()
	w := newWatch(f.begin)
	f.s.Stack.Dropped[outcome.DropTruncated] = 5
	f.s.Bridge.Outcomes[outcome.EndGap] = 5
	if log := w.look(f.at(1)); ids(log) != "truncated" {
		t.Errorf("logged %q, want truncated", ids(log))
	}
	if log := w.look(f.at(100)); ids(log) != "" {
		t.Errorf("logged %q later, though nothing grew", ids(log))
	}
	f.s.Bridge.Outcomes[outcome.EndGap] = 8
	if log := w.look(f.at(101)); ids(log) != "gap" || log[0].Count != 3 {
		t.Errorf("logged %+v, want a gap of 3", log)
	}
	if all := w.problems(f.at(101).Time); ids(all) != "truncated gap" {
		t.Errorf("shown: %q", ids(all))
	}
}

// The bridge says itself that the target is out.
func TestRefusalsAreShownAndNotLogged(t *testing.T) {
	f := newFigures()
	w := newWatch(f.begin)
	f.s.Bridge.Outcomes[outcome.EndTargetRefused] = 3
	for _, second := range []float64{1, 2, 70, 200} {
		if log := w.look(f.at(second)); len(log) != 0 {
			t.Errorf("logged %v", log)
		}
	}
	if all := w.problems(f.at(200).Time); ids(all) != "target_refused" {
		t.Errorf("shown: %q", ids(all))
	}
}

// A mistyped VNI, or list of clients, of one service is told of, however much comes for the others.
func TestServicesThatGetNothing(t *testing.T) {
	f := newFigures()
	w := newWatch(f.begin)
	shop, pay := Service{Name: "shop", Bytes: 1000}, Service{Name: "pay"}
	f.s.Services = []Service{shop, pay}
	for second := range 30 {
		if log := w.look(f.at(float64(second))); len(log) != 0 {
			t.Fatalf("after %d s: %v", second, log)
		}
	}
	if log := w.look(f.at(31)); ids(log) != "silence" || !strings.Contains(log[0].Text, "for pay") || strings.Contains(log[0].Text, "shop") {
		t.Errorf("after 31 s: %+v", log)
	}
	late := Service{Name: "late"} // a reload has added it
	pay.LeftOut[service.ExcludedClient] = 7
	f.s.Services = []Service{shop, pay, late}
	if log := w.look(f.at(32)); ids(log) != "left_out" || !strings.Contains(log[0].Text, ": pay") {
		t.Errorf("with packets of excluded clients: %+v", log)
	}
	if log := w.look(f.at(61)); len(log) != 0 {
		t.Errorf("29 s after the reload: %+v", log)
	}
	if log := w.look(f.at(92.5)); ids(log) != "silence left_out" || !strings.Contains(log[0].Text, "for late") {
		t.Errorf("a minute after the reload: %+v", log)
	}
	pay.Bytes, late.Flows = 1, 1
	f.s.Services = []Service{shop, pay, late}
	if w.look(f.at(93)); ids(w.problems(f.at(93).Time)) != "" {
		t.Errorf("with a client for each: %v", w.problems(f.at(93).Time))
	}
	unmatched := Service{Name: "shop", Bytes: 1000}
	unmatched.Bridge.Requests.NotMatched = 3
	f.s.Services = []Service{unmatched}
	if log := w.look(f.at(200)); ids(log) != "left_out" {
		t.Errorf("with no request of --only-path: %+v", log)
	}
	unmatched.Bridge.Requests = requests.Stats{NotHTTP: 1, BytesLeftOut: 10}
	f.s.Services = []Service{unmatched}
	if w.look(f.at(200.5)); ids(w.problems(f.at(200.5).Time)) != "left_out" {
		t.Errorf("with no HTTP/1 for --only-path: %v", w.problems(f.at(200.5).Time))
	}
	unmatched.Bridge.Requests = requests.Stats{NotHTTP: 1}
	f.s.Services = []Service{unmatched}
	if w.look(f.at(200.7)); ids(w.problems(f.at(200.7).Time)) != "" {
		t.Errorf("with no HTTP/1 for --mark-requests: %v", w.problems(f.at(200.7).Time))
	}
	unmatched.Bridge.Requests = requests.Stats{NotMatched: 3, Matched: 1}
	f.s.Services = []Service{unmatched}
	if w.look(f.at(201)); ids(w.problems(f.at(201).Time)) != "" {
		t.Errorf("with one request of --only-path: %v", w.problems(f.at(201).Time))
	}
}

// Where streams of some of several services end badly, the line names those since the line before.
func TestProblemNamesTheServices(t *testing.T) {
	f := newFigures()
	w := newWatch(f.begin)
	shop, pay := Service{Name: "shop", Bytes: 1}, Service{Name: "pay", Bytes: 1}
	look := func(second float64, slowAtShop, slowAtPay uint64) []Problem {
		shop.Bridge.Outcomes[outcome.EndTargetSlow], pay.Bridge.Outcomes[outcome.EndTargetSlow] = slowAtShop, slowAtPay
		f.s.Bridge.Outcomes[outcome.EndTargetSlow] = slowAtShop + slowAtPay
		f.s.Services = []Service{shop, pay}
		return w.look(f.at(second))
	}
	for _, c := range []struct {
		second    float64
		shop, pay uint64
		want      string // in the log
	}{{1, 0, 0, ""}, {2, 0, 3, "pay"}, {3, 0, 4, ""}, {4, 1, 4, ""}, {62.5, 2, 4, "shop pay"}, {130, 5, 4, "shop"}} {
		got := ""
		for _, p := range look(c.second, c.shop, c.pay) {
			got += strings.Join(p.Services, " ")
		}
		if got != c.want {
			t.Errorf("after %v s: %q, want %q", c.second, got, c.want)
		}
	}
}

// A service whose settings left out everything has other ones since: what it left out before is not
// held against them.
func TestWhatWasLeftOutBeforeAReload(t *testing.T) {
	f := newFigures()
	w := newWatch(f.begin)
	second := 0.0
	look := func(requests requests.Stats, want string) {
		t.Helper()
		shop := Service{Name: "shop", Bytes: 1000}
		shop.Bridge.Requests = requests
		f.s.Services = []Service{shop}
		w.look(f.at(second))
		if got := ids(w.problems(f.at(second).Time)); got != want {
			t.Errorf("after %v s: %q, want %q", second, got, want)
		}
	}
	look(requests.Stats{}, "")
	second = 40
	look(requests.Stats{NotMatched: 3}, "left_out")
	w.unheard.restart([]string{"shop"})
	look(requests.Stats{NotMatched: 3}, "")
	second = 100 // the target does not answer, so that no request is looked at
	look(requests.Stats{NotMatched: 3}, "")
	look(requests.Stats{NotMatched: 4}, "left_out")
	f.s.Services = nil // it is removed, and added again
	w.look(f.at(second))
	second = 200
	look(requests.Stats{}, "")
	second = 240
	look(requests.Stats{}, "")
}

// A service without clients, which may be meant, does not fill the log, and the first of its
// clients is told.
func TestASilentServiceIsToldMoreAndMoreSeldom(t *testing.T) {
	var out bytes.Buffer
	f := newFigures()
	shop, pay := Service{Name: "shop", Bytes: 1000}, Service{Name: "pay"}
	f.s.Services = []Service{shop, pay}
	second := 0
	m := NewMonitor(Config{Log: slog.New(slog.NewTextHandler(&out, nil)), Source: Source{Snapshot: func() Snapshot { return *f.at(float64(second)) }}})
	m.watch = newWatch(f.begin)
	said := func(what string) bool {
		defer out.Reset()
		m.tell(quiet{})
		return strings.Contains(out.String(), what)
	}
	var minutes []int
	for ; second < 6*3600; second++ {
		if said("no data of a client has come so far for pay") {
			minutes = append(minutes, second/60)
		}
	}
	if want := []int{0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303}; !slices.Equal(minutes, want) {
		t.Errorf("told in the minutes %v, want %v", minutes, want)
	}
	f.s.Services = []Service{shop, pay, {Name: "late"}} // a reload has added it
	for range 32 {
		second++
		said("")
	}
	if second += 60; !said("for pay, late") {
		t.Error("another silent service is told as late as the one before")
	}
	pay.Bytes = 7
	f.s.Services = []Service{shop, pay, {Name: "late"}}
	if !said(`msg="a service that was silent is heard now" service=pay`) {
		t.Error("its first client is not told")
	}
	if said("is heard now") {
		t.Error("its first client is told twice")
	}
}

func TestSilenceAndOneDirection(t *testing.T) {
	f := newFigures()
	f.s.Frames, f.s.Stack.Packets = 0, 0
	w := newWatch(f.begin)
	if log := w.look(f.at(29)); len(log) != 0 {
		t.Errorf("after 29 s: %v", log)
	}
	if log := w.look(f.at(31)); ids(log) != "silence" || !strings.Contains(log[0].Remedy, "netmirror check") {
		t.Errorf("after 31 s: %+v", log)
	}
	if log := w.look(f.at(32)); len(log) != 0 {
		t.Errorf("again after 32 s: %v", log)
	}
	// 80 answers, and the SYN of a scanner.
	f.s.Frames, f.s.Stack.Packets = 81, 81
	f.s.Stack.Dropped[outcome.DropReverse] = 80
	if log := w.look(f.at(33)); ids(log) != "one_direction" {
		t.Errorf("with answers alone: %+v", log)
	}
	f.s.Stack.Packets, f.s.Stack.Bytes = 82, 100
	if log := w.look(f.at(34)); len(log) != 0 || ids(w.problems(f.at(34).Time)) != "" {
		t.Errorf("with a request: %v, %v", log, w.problems(f.at(34).Time))
	}
	// An hour later connections are kept alive: a probe of the server's, an answer.
	f.s.Stack.Packets, f.s.Stack.Dropped[outcome.DropReverse] = 182, 130
	if log := w.look(f.at(3600)); len(log) != 0 {
		t.Errorf("with keep-alive probes: %v", log)
	}
}

func TestWhatIsRecent(t *testing.T) {
	begin := time.Now()
	w := newWatch(begin)
	var h history
	f := newFigures()
	for second := range 20 {
		f.s.Time, f.s.Ring.Drops = begin.Add(time.Duration(second)*time.Second), uint64(min(second, 5))
		w.look(&f.s)
		h.add(&f.s, w.timeline)
	}
	if n := w.recent(outcome.ProblemRingFull, f.s.Time, 5*time.Second); n != 0 {
		t.Errorf("%d drops in the last 5 s, which were 14 s ago", n)
	}
	if n := len(h.since(w.milli(begin.Add(9 * time.Second)))); n != 5 {
		t.Errorf("%d samples in the last 10 s, want 5", n)
	}
}

// linkIsDown marks a case of TestReadiness.
const linkIsDown = 12345

func TestReadiness(t *testing.T) {
	f := newFigures()
	now := time.Now()
	for _, tc := range []struct {
		name  string
		phase Phase
		drops bool // --ready-drops
		lost  uint64
		ago   time.Duration // since they were lost
		why   string        // "": ready
	}{
		{"before the capture", Starting, false, 0, 0, "starting"},
		{"capturing", Capturing, false, 0, 0, ""},
		{"capturing, with drops that do not matter", Capturing, false, 9, 0, ""},
		{"capturing, with drops that do", Capturing, true, 9, 0, "dropped"},
		{"capturing, with drops long ago", Capturing, true, 9, 20 * time.Second, ""},
		{"capturing, without drops", Capturing, true, 0, 0, ""},
		{"with the interface down", Capturing, false, linkIsDown, 0, "interface is down"},
		{"at the end", Draining, false, 0, 0, "draining"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := NewMonitor(Config{ReadyDrops: tc.drops, Source: Source{Snapshot: func() Snapshot {
				s := f.s
				s.Time, s.Ring.Drops = now.Add(-tc.ago), tc.lost
				if tc.lost == linkIsDown {
					s.Ring.Down = []string{"eth1"}
				}
				return s
			}}})
			m.begin = now.Add(-time.Hour)
			m.watch.begin = m.begin
			m.Enter(tc.phase)
			m.Look()
			ok, why := m.Ready()
			if ok != (tc.why == "") || !strings.Contains(why, tc.why) {
				t.Errorf("ready %v, %q", ok, why)
			}
		})
	}
}

func TestHistoryGoesBackAQuarterOfAnHour(t *testing.T) {
	f := newFigures()
	var h history
	for second := range 2000 {
		f.s.Frames = uint64(second)
		h.add(f.at(float64(second)), timeline{f.begin})
	}
	all := h.since(0)
	if len(all) != 450 || all[449].Packets != 1998 || all[0].Packets != 1100 {
		t.Errorf("%d samples, from %d to %d", len(all), all[0].Packets, all[len(all)-1].Packets)
	}
	if late := h.since(all[440].T); len(late) != 9 || late[0].T != all[441].T {
		t.Errorf("%d samples behind the 441st", len(late))
	}
	if none := h.since(all[449].T); none == nil || len(none) != 0 {
		t.Errorf("behind the last: %v", none)
	}
}

// What is counted has a count, also where a problem was added.
func TestEveryProblemIsRecognised(t *testing.T) {
	for p := range outcome.NumProblems {
		if counted := p > outcome.ProblemLeftOut; (rules[p].count != nil) != counted {
			t.Errorf("%s has a count: want %v", p, counted)
		}
	}
}

// What was nobody's loss is not shown as one.
func TestWhatCountsAsLost(t *testing.T) {
	s := Snapshot{Bridge: bridge.Stats{Outcomes: [outcome.NumStreamEnds]uint64{outcome.EndComplete: 1, outcome.EndClientReset: 1, outcome.EndGap: 2}}}
	for d := range outcome.NumDrops {
		s.Stack.Dropped[d] = 1
	}
	s.Ring.Drops = 4
	lost := lostPackets(&s)
	for _, reason := range []string{"no_payload", "reverse", "duplicate", "flow_over", "shutdown"} {
		if lost[reason] != 0 {
			t.Errorf("%s counts as lost", reason)
		}
	}
	for _, reason := range []string{"gap", "truncated", "mid_stream", "target_ended", "flow_limit", "bad_checksum"} {
		if lost[reason] != 1 {
			t.Errorf("%s does not count as lost", reason)
		}
	}
	if lost["ring_full"] != 4 {
		t.Error("what the ring dropped does not count as lost")
	}
	if cut := lostStreams(&s); len(cut) != 1 || cut["gap"] != 2 {
		t.Errorf("cut: %v, want 2 by a gap", cut)
	}
}
