package status

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"netmirror/outcome"
)

// TestDelivery checks what counts as sent, and what as lost and where.
func TestDelivery(t *testing.T) {
	var s Service
	s.Bridge.BytesWritten, s.Bridge.BytesUnacked, s.MissingBytes = 1000, 50, 20
	s.Lost[outcome.DropGap] = 30
	s.Lost[outcome.DropMidStream], s.Lost[outcome.DropTotalBudget], s.Lost[outcome.DropMaxConns] = 1, 2, 4
	s.Lost[outcome.DropTargetEnded] = 100
	// Of these nothing was lost, or it is in the holes.
	for _, d := range []outcome.Drop{outcome.DropDuplicate, outcome.DropTruncated, outcome.DropBadChecksum, outcome.DropRejected, outcome.DropOutOfWindow, outcome.DropShutdown, outcome.DropProbe} {
		s.Lost[d] = 1 << 30
	}
	s.Bridge.Outcomes[outcome.EndComplete], s.Bridge.Outcomes[outcome.EndServerReset] = 5, 1
	s.Bridge.Outcomes[outcome.EndGap], s.Bridge.Outcomes[outcome.EndTargetRefused], s.Bridge.Outcomes[outcome.EndShutdown] = 1, 1, 7
	// What does not match was left out as wanted; what could not be judged was not.
	s.Bridge.Requests.BytesLeftOut, s.Bridge.Requests.BytesTooLarge, s.Bridge.Requests.BytesAmbiguous = 1<<30, 8, 16
	d := s.Delivery()
	want := Delivery{Sent: 1000 + 20 + 30 + 7 + 24 + 100, Whole: 6, LostStreams: 2}
	want.Lost[outcome.PlaceBefore], want.Lost[outcome.PlaceNetmirror], want.Lost[outcome.PlaceTarget] = 50, 31, 150
	if d != want {
		t.Errorf("%+v, want %+v", d, want)
	}
	if got, want := d.Bytes(), 950./1181; math.Abs(got-want) > 1e-9 || d.Streams() != 0.75 {
		t.Errorf("shares %v and %v, want %v and 0.75", got, d.Streams(), want)
	}
}

// A share is never rounded to what it is not: 100 % says that nothing was lost.
func TestPercent(t *testing.T) {
	for share, want := range map[float64]string{1: "100 %", 0.9999999: "99.99 %", 0.95: "95 %", 0.29: "29 %", 0: "0 %", math.NaN(): "–"} {
		if got := percentText(share); got != want {
			t.Errorf("%v is shown as %s, want %s", share, got, want)
		}
	}
}

func TestAlert(t *testing.T) {
	a := Alert{Amber: 0.99, Red: 0.95}
	for share, want := range map[float64]string{1: "ok", 0.99: "ok", 0.9899: "warn", 0.95: "warn", 0.9499: "bad", 0: "bad", math.NaN(): "none"} {
		if got := a.level(share); got != want {
			t.Errorf("%v is %s, want %s", share, got, want)
		}
	}
}

// lossy has a headline look at one service that loses bytes.
type lossy struct {
	*headline
	s Snapshot
}

func newLossy() *lossy {
	begin := time.Unix(1_700_000_000, 0)
	return &lossy{newHeadline(begin), Snapshot{Time: begin, Services: []Service{{Name: "a"}, {ID: 1, Name: "b"}}}}
}

func (l *lossy) after(d time.Duration) *Snapshot {
	l.s.Time = l.s.Time.Add(d)
	l.look(&l.s)
	return &l.s
}

// TestWhence checks that what is missing is put down to the drops of its time here, as
// far as they can explain it, and to what is before this host otherwise.
func TestWhence(t *testing.T) {
	const before, iface, ring = outcome.PlaceBefore, outcome.PlaceInterface, outcome.PlaceRing
	l := newLossy()
	check := func(what string, want map[outcome.Place]uint64) {
		t.Helper()
		for at := range outcome.NumPlaces {
			if got := l.s.Start.Lost[at]; got != want[at] {
				t.Errorf("%s: %d bytes lost at %s, want %d", what, got, at, want[at])
			}
			if got := l.s.Services[0].Start.Lost[at] + l.s.Services[1].Start.Lost[at]; got != want[at] {
				t.Errorf("%s: of the services, %d bytes lost at %s, want %d", what, got, at, want[at])
			}
		}
	}
	miss := func(n uint64) {
		l.s.Services[0].MissingBytes += n
		l.s.Services[1].Lost[outcome.DropGap] += n
	}
	miss(1000)
	l.after(time.Second)
	check("no drops here", map[outcome.Place]uint64{before: 2000})
	l.s.InterfaceDrops = 1 // of another protocol, perhaps
	miss(10_000)
	l.after(time.Second)
	check("one packet dropped at the interface", map[outcome.Place]uint64{before: 13_000, iface: 9000})
	l.s.Ring.Drops = 100
	l.after(time.Second)
	miss(50_000)
	l.after(2 * time.Second)
	check("drops of the ring, 2 s before", map[outcome.Place]uint64{before: 13_000, iface: 9000, ring: 100_000})
	miss(500)
	l.after(time.Minute)
	check("and a minute before", map[outcome.Place]uint64{before: 14_000, iface: 9000, ring: 100_000})
}

// TestLastMinute checks that what was lost longer ago is not told as of now, and that
// a snapshot that comes late changes nothing.
func TestLastMinute(t *testing.T) {
	l := newLossy()
	f := &l.s.Services[0]
	f.Bridge.BytesWritten, f.MissingBytes = 900, 100
	l.after(time.Second)
	if s := l.after(10 * time.Second); s.Minute.Bytes() != 0.9 || s.Services[0].Minute != s.Minute {
		t.Errorf("%+v, want 90 %%", s.Minute)
	}
	f.Bridge.BytesWritten = 1900
	if s := l.after(time.Minute); s.Minute.Bytes() != 1 || s.Start.Bytes() != 0.95 || s.Minute.Sent != 1000 {
		t.Errorf("a minute later: %+v and %+v, want all, and 95 %%", s.Minute, s.Start)
	}
	late := Snapshot{Time: l.s.Time.Add(-time.Second), Services: []Service{{Name: "a"}}}
	l.look(&late)
	if late.Start != l.s.Start || l.after(time.Second).Start != late.Start {
		t.Errorf("a late snapshot: %+v, want %+v", late.Start, l.s.Start)
	}
}

// TestHeadline checks the headline and the places in the report and at the end of the
// log, the most serious first.
func TestHeadline(t *testing.T) {
	figures := twoServices(t)
	first := &figures.Services[0]
	first.Bridge.BytesWritten, first.MissingBytes, first.Lost[outcome.DropTargetEnded] = 9000, 200, 700
	first.Lost[outcome.DropTotalBudget], first.Lost[outcome.DropFlowLimit] = 60, 40
	var log bytes.Buffer
	m := NewMonitor(Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Source: Source{Snapshot: func() Snapshot { return figures }},
		Capture: Capture{Host: "monitor-1", Interface: "eth0", VNI: "42", Port: "8080"}})
	m.Look()
	w := httptest.NewRecorder()
	m.routes(NewMetrics().Handler(m), false).ServeHTTP(w, httptest.NewRequest("GET", "/status.json", nil))
	var r report
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	h := r.Headline
	if h.Level != "bad" || *h.Minute.Bytes != 90 || *h.Start.Bytes != 90 || *h.Start.Streams != 60 || h.Start.Lost != 1000 || h.Amber != 99 || h.Red != 95 || r.Capture.Host != "monitor-1" {
		t.Errorf("%s", w.Body)
	}
	var places []string
	for _, p := range h.Places {
		places = append(places, p.Place)
	}
	if got := strings.Join(places, " "); got != "target before_host netmirror" {
		t.Errorf("lost at %s, want at the target, before this host, in netmirror", got)
	}
	if got, want := h.Places[2].Text, "were lost in netmirror: beyond --total-mib, of connections beyond --max-flows"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	m.LogEnd()
	_, end, _ := strings.Cut(log.String(), "delivered_percent=90 delivered_percent_minute=90 whole_streams_percent=60")
	for _, want := range []string{"bytes_lost_before_host=200 bytes_lost_netmirror=100 bytes_lost_target=700",
		`msg="bytes were lost at the target, which does not answer" bytes=700 of=10000 do=`, `msg="bytes were lost before this host: nothing was dropped here at the time" bytes=200`} {
		var found bool
		if _, end, found = strings.Cut(end, want); !found {
			t.Errorf("the log's end has no %s, or in another order: %s", want, log.String())
		}
	}
}
