package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestServicesThatPlayTwiceAreWarnedOf(t *testing.T) {
	for _, row := range []struct{ name, first, second, want string }{
		{"the same target", "", "", `service=rest others=shop to=10.91.3.2:9090`},
		{"another target", "", "to = 10.91.3.3:9090", ""},
		{"other clients", "clients = 10.0.0.0/8", "exclude-clients = 10.0.0.0/8", ""},
		{"other requests", "only-path = /a", "only-path = /b", ""},
		{"requests of all", "only-path = /a", "", "others=shop"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if !strings.HasPrefix(row.second, "to") {
				row.second += "\nto = 10.91.3.2:9090"
			}
			file := filepath.Join(t.TempDir(), "c.conf")
			text := "[Service shop]\nvni = 42\nport = 8080\nto = 10.91.3.2:9090\n" + row.first + "\n[Service rest]\nvni = any\nport = 8000-8999\n" + row.second + "\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			o := parse(t, "--iface=eth9", "--config="+file)
			said := withLog(func(log *slog.Logger) { warnOfOverlaps(o, log) })
			if !strings.Contains(said, row.want) || (said != "") != (row.want != "") {
				t.Errorf("said %q, want %q", said, row.want)
			}
		})
	}
}
