package limits

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"

	"netmirror/machine"
	"netmirror/settings"
)

func parse(t *testing.T, args ...string) *settings.Options {
	t.Helper()
	o, err := settings.Parse(settings.Call{Program: "netmirror", Args: args, Getenv: func(string) string { return "" }, Stdout: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// withLog calls f with a logger, and returns what was logged.
func withLog(f func(*slog.Logger)) string {
	var out bytes.Buffer
	f(slog.New(slog.NewTextHandler(&out, nil)))
	return out.String()
}

func TestConnectionsFitTheLimitOfOpenFiles(t *testing.T) {
	for _, tc := range []struct {
		name  string
		args  []string
		files int
		conns int
		says  string // "": nothing
	}{
		{"enough", []string{"--max-conns=20000"}, 65536, 20000, ""},
		{"unknown", []string{"--max-conns=20000"}, 0, 20000, ""},
		{"the usual hard limit of a shell", []string{"--max-conns=20000"}, 4096, 4096 - 48, "raise the hard limit to 20048 "},
		{"with --http", []string{"--max-conns=20000", "--http=:9090"}, 4096, 4096 - 48 - 64, "raise the hard limit to 20112 "},
		{"just enough", []string{"--max-conns=1000"}, 1048, 1000, ""},
		{"one too few", []string{"--max-conns=1000"}, 1047, 999, "LimitNOFILE="},
		{"hardly any", []string{"--max-conns=1000"}, 40, 10, "max_conns=1000 connections=10 open_files=40"},
		{"none", []string{"--max-conns=1000"}, 1, 1, "max_conns=1000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := parse(t, append([]string{"--iface=lo", "--vni=1", "--port=1", "--to=127.0.0.1:1", "--workers=2"}, tc.args...)...)
			asked := *o
			fitConns(o, tc.files)
			said := ""
			if o.Budgets.MaxConns < asked.Budgets.MaxConns {
				said = withLog(func(log *slog.Logger) { warnOfConns(&asked, log, o.Budgets.MaxConns, tc.files) })
			}
			if o.Budgets.MaxConns != tc.conns {
				t.Errorf("%d connections, want %d", o.Budgets.MaxConns, tc.conns)
			}
			if tc.says == "" && said != "" || !strings.Contains(said, tc.says) {
				t.Errorf("said %q, want %q", said, tc.says)
			}
		})
	}
	// A lookup takes descriptors too.
	o := parse(t, "--iface=lo", "--vni=1", "--port=1", "--to=shadow.example:1", "--workers=2")
	if fitConns(o, 4096); o.Budgets.MaxConns != 4096-48-256 {
		t.Errorf("%d connections to a target with a name, want %d", o.Budgets.MaxConns, 4096-48-256)
	}
}

func TestBudgetsAreHeldAgainstMemory(t *testing.T) {
	for _, tc := range []struct {
		name   string
		memory machine.Limit
		says   []string // nil: nothing is said
	}{
		{"unknown", machine.Limit{}, nil},
		{"as much as there is", machine.Limit{Bytes: 576 << 20, Name: "memory.max"}, nil},
		{"a unit's limit", machine.Limit{Bytes: 500 << 20, Name: "memory.max"}, []string{"wanted_mib=576", "there_mib=500", "limit=memory.max", "lower --total-mib to 436 or less", "MemoryMax="}},
		{"a small host", machine.Limit{Bytes: 512 << 20, Name: "MemTotal"}, []string{"lower --total-mib to 448 or less\""}},
		{"less than the ring", machine.Limit{Bytes: 50 << 20, Name: "memory.max"}, []string{"lower --total-mib and --ring-mib, or raise the limit"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := parse(t, "--iface=lo", "--vni=1", "--port=1", "--to=127.0.0.1:1")
			said := withLog(func(log *slog.Logger) { warnOfMemory(o, log, tc.memory) })
			if tc.says == nil && said != "" {
				t.Errorf("said %q", said)
			}
			for _, text := range tc.says {
				if !strings.Contains(said, text) {
					t.Errorf("%q does not say %q", said, text)
				}
			}
		})
	}
}

// A process takes 64 MiB beside the ring however small --total-mib is.
func TestASmallBudgetIsHeldAgainstMemory(t *testing.T) {
	o := parse(t, "--iface=lo", "--vni=1", "--port=1", "--to=127.0.0.1:1", "--total-mib=16")
	for there, warned := range map[int64]bool{127: true, 128: false} {
		said := withLog(func(log *slog.Logger) { warnOfMemory(o, log, machine.Limit{Bytes: there << 20, Name: "memory.max"}) })
		if strings.Contains(said, "wanted_mib=128") != warned {
			t.Errorf("of %d MiB it is said: %q", there, said)
		}
	}
}
