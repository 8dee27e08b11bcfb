package main

import (
	"log/slog"
	"strings"
	"testing"
)

func TestOwnConnectionsInTheCaptureAreWarnedOf(t *testing.T) {
	for call, want := range map[string]string{
		"--encap=none --iface=lo --to=127.0.0.1:8080":                               "--exclude-clients 127.0.0.1,",
		"--encap=none --iface=lo --to=localhost:8080":                               "service=",
		"--encap=none --iface=any --to=127.0.0.1:8080":                              "--exclude-clients 127.0.0.1,",
		"--encap=none --iface=lo --to=tls://127.0.0.2:8080":                         "to=tls://127.0.0.2:8080",
		"--encap=none --iface=lo --to=127.0.0.1:8080 --source-address=127.0.0.3":    "--exclude-clients 127.0.0.3,",
		"--encap=none --iface=lo --to=127.0.0.1:9090":                               "",
		"--encap=none --iface=eth9 --to=127.0.0.1:8080":                             "",
		"--encap=none --iface=lo --to=127.0.0.1:8080 --exclude-clients=127.0.0.0/8": "",
		"--encap=none --iface=lo --to=unix:///run/shadow":                           "",
		"--encap=none --iface=lo --to=nope.invalid:8080":                            "",
		"--vni=42 --iface=lo --to=127.0.0.1:8080":                                   "",
	} {
		o := parse(t, append(strings.Fields(call), "--port=8080")...)
		said := withLog(func(log *slog.Logger) { warnOfLoops(t.Context(), o, log) })
		if !strings.Contains(said, want) || (said != "") != (want != "") {
			t.Errorf("%s: said %q, want %q", call, said, want)
		}
	}
}
