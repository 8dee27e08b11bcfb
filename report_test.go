package main

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netmirror/service"
	"netmirror/settings"
)

func TestLogFormats(t *testing.T) {
	for format, want := range map[string]string{"text": "level=INFO msg=hello n=1\n", "json": `"level":"INFO","msg":"hello","n":1}`} {
		var out bytes.Buffer
		log := newLogger(&settings.Options{Reporting: settings.Reporting{LogLevel: "info", LogFormat: format}}, &out)
		log.Info("hello", "n", 1)
		log.Debug("not this")
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "not this") {
			t.Errorf("%s: %q", format, out.String())
		}
	}
	var out bytes.Buffer
	newLogger(&settings.Options{Reporting: settings.Reporting{LogLevel: "info", LogFormat: "json"}}, &out).Info("capturing",
		"port", service.PortsOf(8080, 9000, 9001), "vni", service.VNIsOf(), "at_most", 10*time.Second, "err", io.EOF, "n", 3)
	if want := `"level":"INFO","msg":"capturing","port":"8080,9000-9001","vni":"any","at_most":"10s","err":"EOF","n":3}`; !strings.Contains(out.String(), want) {
		t.Errorf("%q, want %q", out.String(), want)
	}
	out.Reset()
	newLogger(&settings.Options{Reporting: settings.Reporting{LogLevel: "off", LogFormat: "text"}}, &out).Log(t.Context(), slog.LevelError, "x")
	if out.Len() != 0 {
		t.Errorf("off: %q", out.String())
	}
}

func TestVariablesOfNoFlagAreWarnedOf(t *testing.T) {
	said := withLog(func(log *slog.Logger) {
		warnOfVariables(&settings.Options{UnknownVariables: []string{"NETMIRROR_IFCAE"}}, log)
	})
	if !strings.Contains(said, "level=WARN") || !strings.Contains(said, "NETMIRROR_IFCAE") {
		t.Errorf("said %q", said)
	}
	if said := withLog(func(log *slog.Logger) { warnOfVariables(new(settings.Options), log) }); said != "" {
		t.Errorf("said %q of none", said)
	}
}

// withLog calls f with a logger, and returns what was logged.
func withLog(f func(*slog.Logger)) string {
	var out bytes.Buffer
	f(slog.New(slog.NewTextHandler(&out, nil)))
	return out.String()
}

// A service with a name has a line of its own, with what its section sets.
func TestServicesAreLogged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings")
	if err := os.WriteFile(path, []byte("[Service shop]\nvni=42\nport=80\nto=a:80\nmax-rate=5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	said := withLog(func(log *slog.Logger) { logServices(parse(t, "--iface", "eth9", "--config", path), log) })
	if !strings.Contains(said, "msg=service service=shop vni=42 port=80 to=a:80 max_rate=5\n") {
		t.Errorf("said %q", said)
	}
	said = withLog(func(log *slog.Logger) {
		logServices(parse(t, "--iface", "eth9", "--vni", "42", "--port", "80", "--to", "a:80"), log)
	})
	if said != "" {
		t.Errorf("said %q of what the flags have said", said)
	}
}
