package status

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"netmirror/outcome"
)

// rejecting has a Monitor look at two services once a second.
type rejecting struct {
	figures Snapshot
	m       *Monitor
	logged  []Problem
}

func newRejecting(t *testing.T) *rejecting {
	r := &rejecting{figures: twoServices(t)}
	r.figures.Frames, r.figures.Stack.Packets = 1, 1
	r.figures.Services[1].Bytes = 1 // else its silence is told
	r.m = NewMonitor(Config{Log: slog.New(slog.NewTextHandler(new(bytes.Buffer), nil)), Source: Source{Snapshot: func() Snapshot {
		s := r.figures
		s.Services = append([]Service(nil), r.figures.Services...)
		return s
	}}})
	r.m.Enter(Capturing)
	r.seconds(1, 0, 0, 0)
	return r
}

// seconds passes n of them, in each of which the first service's streams end: whole, closed by
// the target at once, and closed by it later.
func (r *rejecting) seconds(n int, whole, atOnce, later uint64) {
	b := &r.figures.Services[0].Bridge
	for range n {
		r.figures.Time = r.figures.Time.Add(time.Second)
		b.Outcomes[outcome.EndComplete] += whole
		b.Outcomes[outcome.EndTargetClosed] += atOnce + later
		b.ClosedAtOnce += atOnce
		b.BytesWritten += 100 * (whole + atOnce + later)
		_, log := r.m.Look()
		r.logged = append(r.logged, log...)
	}
}

func (r *rejecting) report(t *testing.T) (got report) {
	t.Helper()
	w := httptest.NewRecorder()
	r.m.routes(NewMetrics().Handler(r.m), false).ServeHTTP(w, httptest.NewRequest("GET", "/status.json", nil))
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// problems are those of the moment of the figures.
func (r *rejecting) problems() []Problem { return r.m.watch.problems(r.figures.Time) }

// All bytes are taken and no stream is whole, as where TLS is wanted.
func TestTargetThatRejectsEveryStream(t *testing.T) {
	r := newRejecting(t)
	r.seconds(35, 0, 12, 0)
	got := r.report(t)
	if *got.Headline.Minute.Bytes != 100 || got.Headline.Level != "warn" || got.Services[0].Level != "warn" || got.Services[1].Level == "warn" {
		t.Errorf("headline %+v; services %q and %q, want warn, warn and not", got.Headline, got.Services[0].Level, got.Services[1].Level)
	}
	if ids(got.Problems) != "target_rejects" || got.Problems[0].Count != 35*12 || !strings.Contains(got.Problems[0].Remedy, "tls://") {
		t.Errorf("%+v", got.Problems)
	}
	r.seconds(35, 0, 12, 0)
	if ids(r.logged) != "target_rejects target_rejects" {
		t.Errorf("in 70 s, logged %q, want a line a minute", ids(r.logged))
	}
	r.seconds(130, 12, 0, 0)
	if level, now := r.report(t).Headline.Level, r.problems(); level != "ok" || now[0].Recent != 0 || now[0].Count != 70*12 {
		t.Errorf("after it ended: %q, %+v", level, now)
	}
}

func TestTargetThatClosesSomeStreamsIsOrdinary(t *testing.T) {
	for _, row := range []struct {
		name                 string
		seconds              int
		whole, atOnce, later uint64
	}{
		{"keep-alive ends sooner than the real service's", 90, 0, 0, 12},
		{"as many are whole", 90, 6, 6, 0},
		{"hardly any traffic", 9, 0, 1, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRejecting(t)
			r.seconds(row.seconds, row.whole, row.atOnce, row.later)
			if got := r.report(t); len(r.logged) != 0 || len(got.Problems) != 0 || got.Headline.Level != "ok" {
				t.Errorf("level %q, problems %+v, logged %+v", got.Headline.Level, got.Problems, r.logged)
			}
		})
	}
}

// What was ordinary before is not told, and what is told later is of its minute.
func TestRejectionsCountFromWhenTheyBegan(t *testing.T) {
	r := newRejecting(t)
	r.seconds(200, 10, 1, 0)
	r.seconds(70, 0, 10, 0)
	if all := r.problems(); ids(all) != "target_rejects" || all[0].Count < 600 || all[0].Count > 760 || all[0].Recent > all[0].Count {
		t.Errorf("%+v, want some 700 of 900", all)
	}
}
