package status

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
)

// Reloads are told of, with what is in force since.
func TestReloads(t *testing.T) {
	m := NewMonitor(Config{Settings: []Setting{{Flag: "sample", Value: "all"}}, Target: "a:80", Source: Source{Snapshot: func() Snapshot { return Snapshot{} }}})
	handler := NewMetrics().Handler(m)
	told := func() (r report, metrics string) {
		t.Helper()
		w := httptest.NewRecorder()
		m.serveReport(w, nil)
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		w = httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return r, w.Body.String()
	}
	if r, metrics := told(); r.Reloads != (reloadsReport{}) || !strings.Contains(metrics, "\nnetmirror_last_reload_timestamp_seconds 0\n") {
		t.Errorf("before any reload: %+v", r.Reloads)
	}
	m.ReloadFailed()
	if r, _ := told(); r.Reloads.Done != 0 || r.Reloads.Failed != 1 || r.Reloads.Last < r.Started || r.Target.Address != "a:80" {
		t.Errorf("after one that failed: %+v, target %s", r.Reloads, r.Target.Address)
	}
	m.Reloaded([]Setting{{Flag: "sample", Value: "1/2"}}, "b:80", nil)
	r, metrics := told()
	if r.Reloads.Done != 1 || r.Reloads.Failed != 1 || r.Target.Address != "b:80" || len(r.Settings) != 1 || r.Settings[0].Value != "1/2" {
		t.Errorf("after one: %+v, target %s, %+v", r.Reloads, r.Target.Address, r.Settings)
	}
	for _, want := range []string{`netmirror_reloads_total{result="ok"} 1`, `netmirror_reloads_total{result="error"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}
