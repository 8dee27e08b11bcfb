package status

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func TestHealth(t *testing.T) {
	s := serve(t, ":0", false)
	if code, body := s.get("/healthz"); code != 200 || body != "alive\n" {
		t.Errorf("/healthz: %d %q", code, body)
	}
	if code, body := s.get("/readyz"); code != 503 || !strings.Contains(body, "starting") {
		t.Errorf("/readyz before the capture: %d %q", code, body)
	}
	s.Enter(Capturing)
	if code, _ := s.get("/readyz"); code != 200 {
		t.Errorf("/readyz: %d", code)
	}
	s.Enter(Draining)
	if code, body := s.get("/readyz"); code != 503 || !strings.Contains(body, "draining") {
		t.Errorf("/readyz at the end: %d %q", code, body)
	}
}

func TestMetrics(t *testing.T) {
	s := serve(t, ":0", false)
	code, text := s.get("/metrics")
	if code != 200 {
		t.Fatal(code)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "netmirror_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	for _, line := range []string{
		"netmirror_tap_packets_total 17",
		"netmirror_tap_ring_dropped_packets_total 3",
		"netmirror_tap_ring_bytes 4096",
		`netmirror_decap_dropped_packets_total{reason="other_vni"} 5`,
		`netmirror_stack_dropped_packets_total{reason="gap"} 0`,
		`netmirror_bridge_streams_ended_total{outcome="gap"} 2`,
		`netmirror_forwarding_latency_seconds_bucket{le="0.002"} 0`,
		`netmirror_forwarding_latency_seconds_bucket{le="0.003"} 1`,
		`netmirror_bridge_dial_duration_seconds_count{result="ok"} 1`,
		`netmirror_bridge_dial_duration_seconds_count{result="error"} 0`,
		"netmirror_ready 0",
		`netmirror_build_info{goversion=`,
		"go_goroutines ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("no line %q", line)
		}
	}
}

func TestFlows(t *testing.T) {
	s := serve(t, ":0", false)
	for _, tc := range []struct {
		query   string
		matched int
		shown   int
		first   string // client of the first one
	}{
		{"", 2500, 100, "10.0.9.249:42499"}, // the oldest
		{"?limit=3&offset=2499", 2500, 1, "10.0.0.0:40000"},
		{"?offset=9999", 2500, 0, ""},
		{"?sort=held", 2500, 100, "10.0.0.7:40007"},
		{"?sort=bytes&limit=1", 2500, 1, "10.0.9.249:42499"},
		{"?state=gap", 1, 1, "10.0.0.7:40007"},
		{"?vni=43&limit=1000", 1250, 1000, "10.0.9.249:42499"},
		{"?client=10.0.3.0/24&limit=1", 250, 1, "10.0.3.249:40999"},
		{"?client=10.0.3.9", 1, 1, "10.0.3.9:40759"},
		{"?client=10.0.3.9:40759", 1, 1, "10.0.3.9:40759"},
		{"?client=10.0.3.9:1", 0, 0, ""},
		{"?client=&state=", 2500, 100, "10.0.9.249:42499"},
	} {
		code, body := s.get("/flows" + tc.query)
		var got flowPage
		if err := json.Unmarshal([]byte(body), &got); code != 200 || err != nil {
			t.Errorf("%s: %d, %v", tc.query, code, err)
			continue
		}
		first := ""
		if len(got.Flows) > 0 {
			first = got.Flows[0].Client
		}
		if got.Total != 2500 || got.Matched != tc.matched || len(got.Flows) != tc.shown || first != tc.first {
			t.Errorf("%s: %d of %d match, %d shown from %s; want %d, %d, %s", tc.query, got.Matched, got.Total, len(got.Flows), first, tc.matched, tc.shown, tc.first)
		}
	}
	for query, want := range map[string]string{
		"limit=0": "1 to 1000", "limit=1001": "1 to 1000", "limit=x": "number", "offset=-1": "number", "sort=name": "held",
		"state=closed": "backlog", "client=here": "10.0.0.1", "vni=a": "number", "vni=16777216": "0 to 16777215", "page=2": "no such parameter", "limit=": "1 to 1000", "vni=1&vni=2": "once",
		"vni=42;state=gap": "with & between them", "%zz": "%zz",
	} {
		if code, body := s.get("/flows?" + query); code != 400 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %q, want %q", query, code, body, want)
		}
	}
}

func TestStatusAndHistory(t *testing.T) {
	s := serve(t, ":0", false)
	s.Enter(Capturing)
	var r report
	if _, body := s.get("/status.json"); json.Unmarshal([]byte(body), &r) != nil || r.Phase != Capturing || !r.Ready ||
		r.Target.State != "unknown" || r.Totals.Packets != 17 || ids(r.Problems) != "ring_full gap" || r.Settings[0].Value != "42" {
		t.Errorf("%+v", r)
	}
	_, body := s.get("/history.json")
	var h struct{ Samples []Sample }
	if json.Unmarshal([]byte(body), &h) != nil || len(h.Samples) != 1 || h.Samples[0].Packets != 17 || h.Samples[0].Lost["ring_full"] != 3 || h.Samples[0].LostStreams["gap"] != 2 {
		t.Errorf("%s", body)
	}
	if _, body = s.get(fmt.Sprintf("/history.json?since=%d", h.Samples[0].T)); !strings.Contains(body, `"samples":[]`) {
		t.Errorf("since the last: %s", body)
	}
	if code, _ := s.get("/history.json?since=yesterday"); code != 400 {
		t.Errorf("a wrong time: %d", code)
	}
}
