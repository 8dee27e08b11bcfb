package status

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"netmirror/bridge"
	"netmirror/outcome"
	"netmirror/requests"
	"netmirror/service"
	"netmirror/stack"
)

// twoServices are the figures of a service whose target answers and of one whose does
// not.
func twoServices(t *testing.T) Snapshot {
	t.Helper()
	s := Snapshot{Time: time.Now(), Services: make([]Service, 2)}
	for i, text := range []string{"42:8080=a:80", "any:9000-9010=b:80"} {
		f, err := service.ParseForward(text)
		if err != nil {
			t.Fatal(err)
		}
		s.Services[i] = Service{ID: service.ID(i), Name: f.Selection.String(), Selection: f.Selection, To: f.Target, Target: bridge.Health{Tried: true, Answers: i == 0, Since: s.Time}}
	}
	s.Services[1].Target.Err = errors.New("refused")
	first := &s.Services[0]
	first.Flows, first.Bytes, first.LeftOut[service.NotSampled] = 7, 1000, 5
	first.Bridge.Streams, first.Bridge.BytesWritten = 9, 900
	first.Bridge.Requests = requests.Stats{Marked: 11, NotMatched: 12, Tunnels: 13}
	first.Bridge.Outcomes[outcome.EndGap], first.Bridge.Outcomes[outcome.EndComplete] = 2, 3
	return s
}

func TestServices(t *testing.T) {
	figures := twoServices(t)
	var log bytes.Buffer
	m := NewMonitor(Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Source: Source{
		Snapshot: func() Snapshot { return figures },
		Flows:    func() []stack.FlowInfo { return []stack.FlowInfo{{Service: 1}, {Service: 0}, {Service: 1}} },
	}})
	m.Look()
	m.Enter(Capturing)
	h := m.routes(NewMetrics().Handler(m), false)
	get := func(path string) string {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Body.String()
	}
	var r report
	if err := json.Unmarshal([]byte(get("/status.json")), &r); err != nil || len(r.Services) != 2 {
		t.Fatalf("%v, %+v", err, r.Services)
	}
	if got := r.Services[0]; got.Name != "42:8080" || got.VNI != "42" || got.Port != "8080" || got.Target.Address != "a:80" || got.Target.State != "answers" ||
		got.Flows != 7 || got.Streams != 9 || got.Start.LostStreams != 2 || got.BytesReceived != 1000 || got.BytesForwarded != 900 || got.LeftOut["not_sampled"] != 5 || len(got.Requests) != 3 || got.Requests["requests_not_matched"] != 12 {
		t.Errorf("the first: %+v", got)
	}
	if got := r.Services[1]; got.VNI != "any" || got.Port != "9000-9010" || got.Target.State != "fails" || got.Target.Error != "refused" {
		t.Errorf("the second: %+v", got)
	}
	if r.Target.State != "fails" {
		t.Errorf("of all targets: %+v", r.Target)
	}
	metrics := get("/metrics")
	for _, want := range []string{
		`netmirror_service_streams_total{service="42:8080"} 9`, `netmirror_service_target_up{service="any:9000-9010"} 0`,
		`netmirror_service_streams_ended_total{outcome="gap",service="42:8080"} 2`,
		`netmirror_service_left_out_packets_total{reason="not_sampled",service="42:8080"} 5`, "netmirror_bridge_target_up 0",
		`netmirror_service_marked_requests_total{service="42:8080"} 11`, `netmirror_service_left_out_requests_total{reason="not_matched",service="42:8080"} 12`,
		`netmirror_service_unmarked_streams_total{reason="tunnel",service="42:8080"} 13`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("not among the metrics: %s", want)
		}
	}
	var page flowPage
	if err := json.Unmarshal([]byte(get("/flows?service=any:9000-9010")), &page); err != nil || page.Matched != 2 || page.Flows[0].Service != "any:9000-9010" {
		t.Errorf("the second's connections: %v, %+v", err, page)
	}
	m.LogFigures()
	for _, want := range []string{"drop_not_sampled=5", "requests_marked=11 requests_not_matched=12 streams_tunnel=13", `msg="service stats" service=42:8080 delivered_percent=100 delivered_percent_minute=100 whole_streams_percent=60 whole_streams_percent_minute=60 flows_open=7 target_conns=0 streams=9`, "service=any:9000-9010"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("not in the log: %s; it has\n%s", want, log.String())
		}
	}
}
