package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"netmirror/check"
	"netmirror/settings"
)

var fourFlags = []string{"--iface", "eth9", "--vni", "42", "--port", "8080", "--to", "host:80"}

// parse is what a command line asks for.
func parse(t *testing.T, args ...string) *settings.Options {
	t.Helper()
	o, err := settings.Parse(settings.Call{Program: "/usr/bin/netmirror", Args: args, Getenv: func(string) string { return "" }, Stdout: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// A wrong call is told of on one line, and nothing is captured.
func TestWrongCallEnds(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{nil, "netmirror: no interface: "},
		{append([]string{"--foo"}, fourFlags...), "netmirror: unknown flag `foo'; see netmirror --help\n"},
		{[]string{"lo", "1", "80"}, "netmirror: 3 words, need four"},
		{[]string{"foo"}, "netmirror: 1 word, need four: INTERFACE VNI PORT HOST:PORT, or a command: check, replay or help"},
		{[]string{"check"}, "netmirror: no interface: "},
		{[]string{"replay", "--port=80", "--to=a:1"}, "netmirror: no file: "},
	} {
		var stdout, stderr bytes.Buffer
		status := run(t.Context(), append([]string{"netmirror"}, tc.args...), func(string) string { return "" }, &stdout, &stderr)
		if status != 1 || strings.Count(stderr.String(), "\n") != 1 || !strings.HasPrefix(stderr.String(), tc.want) || stdout.Len() > 0 {
			t.Errorf("%q: status %d, %q and %q; want 1 and one line that begins with %q", tc.args, status, stdout.String(), stderr.String(), tc.want)
		}
	}
}

// Whoever reads the log as JSON can read the reason of the end too, even with the log off.
func TestFatalLineInJSON(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.pcap")
	asJSON := []string{"--log-format=json", "--log-level=off"}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{append(slices.Clone(asJSON), append(slices.Clone(replayFlags), missing)...), missing + ": no such file or directory; correct the path"},
		{append(slices.Clone(asJSON), append(slices.Clone(fourFlags), "--ring-mib=0")...), "--ring-mib 0: need 1 to 2048"},
		{append(slices.Clone(asJSON), "--config="+missing), "--config: " + missing + ": no such file"},
		{append(slices.Clone(asJSON), "foo"), "flags and the call with four words do not mix"},
	} {
		var stdout, stderr bytes.Buffer
		run(t.Context(), append([]string{"netmirror"}, tc.args...), func(string) string { return "" }, &stdout, &stderr)
		var line struct{ Level, Msg, Err string }
		if err := json.Unmarshal(stderr.Bytes(), &line); err != nil {
			t.Errorf("%q: %v in %s", tc.args, err, &stderr)
		}
		if line.Level != "ERROR" || line.Msg != "netmirror has ended" || !strings.HasPrefix(line.Err, tc.want) {
			t.Errorf("%q: %+v, want an error with %q", tc.args, line, tc.want)
		}
	}
}

// A reader that has seen enough, as head has, is no error to tell of.
func TestReaderThatGoes(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"--help-man"}, {"check", "--read", "capfile/testdata/micro.pcap"}, {"check", "--iface", "nosuch0"}} {
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		reader.Close()
		var stderr bytes.Buffer
		run(t.Context(), append([]string{"netmirror"}, args...), func(string) string { return "" }, writer, &stderr)
		writer.Close()
		if stderr.Len() > 0 {
			t.Errorf("%q: %s", args, &stderr)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, arg := range []string{"--help", "-h", "--version"} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), []string{"netmirror", arg}, func(string) string { return "" }, &stdout, &stderr); status != 0 || stdout.Len() == 0 || stderr.Len() > 0 {
			t.Errorf("%s: status %d, %q, %q", arg, status, stdout.String(), stderr.String())
		}
	}
}

// No packet may wait: to the stack, 0 is the default.
func TestNoPacketMayWait(t *testing.T) {
	o := parse(t, append([]string{"--max-pending-packets=0"}, fourFlags...)...)
	if got := stackConfig(o).MaxPending; got >= 0 {
		t.Errorf("%d packets may wait", got)
	}
}

// What keeps the status page from its address is told with what to do.
func TestStatusPageThatCannotBe(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.77:9090": "give an address that this host has, or 0.0.0.0 for all of IPv4",
		filepath.Join(t.TempDir(), "none", "status.sock"): "make the socket's directory, or choose another path",
	} {
		o := parse(t, append([]string{"--http", address}, fourFlags...)...)
		if _, err := listen(o, nil, nil, nil); err == nil || !strings.Contains(err.Error(), "--http "+address) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}

// A check knows all that leaves out connections or requests, of one service and of several.
func TestCheckHasTheFilters(t *testing.T) {
	flags := []string{"check", "--iface=lo", "--sample=10%", "--only-path=/a", "--only-host=b", "--clients=10.0.0.1"}
	one := checkConfig(parse(t, flags...), "netmirror").Filters
	several := checkConfig(parse(t, append(flags, "--forward=42:80=a:80")...), "netmirror").Services[0].Filters
	for _, f := range []check.Filters{one, several} {
		if f.Sample.All() || f.Clients.All() || !slices.Equal(f.Requests.Paths, []string{"/a"}) || !slices.Equal(f.Requests.Hosts, []string{"b"}) {
			t.Errorf("%+v", f)
		}
	}
}

// A second signal just behind the first does not cut the delivery off; a later one does.
func TestSignalsInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, signal := context.WithCancel(t.Context())
		var let atomic.Bool
		go letGo(ctx, func() { let.Store(true) })
		time.Sleep(time.Hour)
		signal()
		first := time.Now()
		for _, at := range []struct {
			passed time.Duration
			caught bool
		}{{0, true}, {4 * time.Millisecond, true}, {900 * time.Millisecond, true}, {1100 * time.Millisecond, false}} {
			time.Sleep(at.passed - time.Since(first))
			synctest.Wait()
			if caught := !let.Load(); caught != at.caught {
				t.Errorf("%v after the first: caught is %v", at.passed, caught)
			}
		}
	})
}
