package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"netmirror/bridge"
	"netmirror/outcome"
	"netmirror/status"
)

func TestSettings(t *testing.T) {
	o, err := parse(t, nil, append([]string{"--vni", "43", "--gap-timeout", "2000ms", "--idle-timeout", "600s"}, fourFlags...)...)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]status.Setting)
	for _, s := range o.settings() {
		all[s.Flag] = s
	}
	for _, want := range []status.Setting{
		{Flag: "vni", Value: "43,42"}, {Flag: "iface", Value: "eth9"}, {Flag: "gap-timeout", Value: "2s"},
		{Flag: "idle-timeout", Value: "10m0s", Default: true}, {Flag: "http", Default: true}, {Flag: "workers", Value: "0", Default: true},
		{Flag: "ready-drops", Value: "false", Default: true}, {Flag: "stats-interval", Value: "1m0s", Default: true},
	} {
		if got := all[want.Flag]; got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	for _, flag := range []string{"version", "help-man"} {
		if _, ok := all[flag]; ok {
			t.Errorf("--%s is no setting", flag)
		}
	}
}

func TestLogFormats(t *testing.T) {
	for format, want := range map[string]string{"text": "level=INFO msg=hello n=1\n", "json": `"level":"INFO","msg":"hello","n":1}`} {
		var out bytes.Buffer
		o := &options{Reporting: reportOptions{LogLevel: "info", LogFormat: format}}
		log := o.logger(&out)
		log.Info("hello", "n", 1)
		log.Debug("not this")
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "not this") {
			t.Errorf("%s: %q", format, out.String())
		}
	}
	var out bytes.Buffer
	(&options{Reporting: reportOptions{LogLevel: "off", LogFormat: "text"}}).logger(&out).Log(t.Context(), slog.LevelError, "x")
	if out.Len() != 0 {
		t.Errorf("off: %q", out.String())
	}
}

func TestRates(t *testing.T) {
	begin := time.Unix(1000, 0)
	before := &status.Snapshot{Time: begin, Frames: 1000, Bridge: bridge.Stats{BytesWritten: 500}}
	now := &status.Snapshot{Time: begin.Add(2 * time.Second), Frames: 25_000,
		Bridge: bridge.Stats{BytesWritten: 25_000_500, Open: 7, Outcomes: [outcome.NumStreamEnds]uint64{outcome.EndGap: 2, outcome.EndComplete: 9}}}
	now.Stack.Bytes, now.Stack.Flows, now.Stack.BytesHeld, now.Ring.Drops = 30_000_000, 8, 2_340_000, 5
	const want = "12.0 kpackets/s  in 120 Mbit/s  out 100 Mbit/s  flows 8  to target 7  waiting 2.3 MB  lost 5 packets, 2 streams"
	if got := rates(before, now); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
