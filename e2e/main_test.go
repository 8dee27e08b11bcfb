package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"netmirror/e2e/lab"
)

// netmirrorPath is the path of the netmirror under test.
var netmirrorPath string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "netmirror-e2e-")
	if err == nil {
		err = os.Chmod(dir, 0o711) // nobody runs it too
	}
	if err == nil {
		netmirrorPath, err = buildBinary(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.RemoveAll(dir)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		os.RemoveAll(dir)
		os.Exit(status)
	}))
}

func buildBinary(dir string) (string, error) {
	if path := os.Getenv("NETMIRROR_BIN"); path != "" {
		return filepath.Abs(path)
	}
	path := filepath.Join(dir, "netmirror")
	cmd := exec.Command("go", "build", "-o", path, "netmirror")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if os.Getenv("NETMIRROR_RACE") == "1" {
		cmd = exec.Command("go", "build", "-race", "-o", path, "netmirror")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build netmirror: %w\n%s", err, out)
	}
	return path, nil
}

const (
	servicePort = 8080
	shadowPort  = 9090
)

// raceRate is what a netmirror with the race detector in it can follow, in bit/s.
const raceRate = 100_000_000

// mustAllow fails the test for an error. Where the kernel only refuses the privilege to
// make a lab, it skips the test, except in CI.
func mustAllow(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, lab.ErrPrivilege) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// emptyNamespace makes a network namespace whose only interface, lo, is down.
func emptyNamespace(t *testing.T) *lab.Namespace {
	t.Helper()
	n, err := lab.NewNamespace("empty")
	mustAllow(t, err)
	t.Cleanup(n.Close)
	return n
}

// buildLab makes a lab for the test.
func buildLab(t testing.TB, opts lab.Options) *lab.Lab {
	t.Helper()
	if os.Getenv("NETMIRROR_RACE") == "1" {
		opts.Rate = raceRate
	}
	l, err := lab.New(opts)
	mustAllow(t, err)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// deadline bounds a whole test, which may run beside others on a busy machine.
func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// scene is a lab with both services running and netmirror between them.
type scene struct {
	*lab.Lab
	ctx       context.Context
	origin    *lab.Server
	shadow    *lab.Server
	netmirror *process
	client    lab.Client
}

// set makes a scene in which netmirror captures. A handler of nil answers HTTP;
// args go to netmirror behind those that every scene needs.
func set(t testing.TB, opts lab.Options, shadow lab.Handler, args ...string) *scene {
	t.Helper()
	s := setServices(t, opts, shadow)
	s.startNetmirror(t, args...)
	s.ready(t)
	return s
}

// startNetmirror starts the scene's netmirror. It captures, or soon does.
func (s *scene) startNetmirror(t testing.TB, args ...string) {
	t.Helper()
	s.netmirror = start(t, s.Mon, netmirrorPath, append([]string{
		"--iface", lab.MirrorLink, "--vni", "42", "--port", fmt.Sprint(servicePort),
		"--to", s.Shadow(shadowPort).String(),
	}, args...)...)
}

// ready returns when netmirror captures and has tried the target, which is the
// shadow service's first connection and empty.
func (s *scene) ready(t testing.TB) {
	t.Helper()
	s.netmirror.capturing(s.ctx)
	if err := s.shadow.Wait(s.ctx, 1); err != nil {
		t.Fatalf("netmirror did not try the target: %v", err)
	}
	if r := s.shadow.Records(); len(r) != 1 || r[0].Len != 0 {
		t.Fatalf("before any traffic the target got %v", &r[0])
	}
}

// forwarded is what the shadow service got, the first try aside.
func (s *scene) forwarded() []lab.Record { return s.shadow.Records()[1:] }

// awaitForwarded returns when n connections were forwarded and have ended.
func (s *scene) awaitForwarded(n int) error { return s.shadow.Wait(s.ctx, n+1) }

// behindFirst has a handler serve all connections but the first.
func behindFirst(handle lab.Handler) lab.Handler {
	var first atomic.Bool
	return func(c *lab.Conn, done <-chan struct{}) {
		if first.Swap(true) {
			handle(c, done)
		}
	}
}

// setServices makes a scene without netmirror.
func setServices(t testing.TB, opts lab.Options, shadow lab.Handler) *scene {
	t.Helper()
	if shadow == nil {
		shadow = lab.AnswerHTTP
	}
	s := setOrigin(t, opts)
	s.serveShadow(t, behindFirst(shadow))
	return s
}

// setOrigin makes a scene without netmirror and without a shadow service.
func setOrigin(t testing.TB, opts lab.Options) *scene {
	t.Helper()
	s := &scene{Lab: buildLab(t, opts), ctx: deadline(t)}
	s.client = s.ClientOf(servicePort)
	var err error
	if s.origin, err = s.Srv.Serve(s.Origin(servicePort), lab.AnswerHTTP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.origin.Close)
	return s
}

// serveShadow starts the scene's shadow service.
func (s *scene) serveShadow(t testing.TB, handle lab.Handler) {
	t.Helper()
	var err error
	if s.shadow, err = s.Dst.Serve(s.Shadow(shadowPort), handle); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.shadow.Close)
}

// compare waits for the shadow service to have as many finished connections as
// the origin, ends netmirror and compares what both received.
func (s *scene) compare(t *testing.T) {
	t.Helper()
	n := len(s.origin.Records())
	if err := s.origin.Wait(s.ctx, n); err != nil {
		t.Errorf("origin: %v", err)
	}
	s.compareWith(t, s.origin.Records())
}

// compareWith is compare with records of what the clients sent.
func (s *scene) compareWith(t *testing.T, want []lab.Record) {
	t.Helper()
	if err := s.awaitForwarded(len(want)); err != nil {
		t.Errorf("shadow: %v", err)
	}
	s.endWith(t, want)
}

// endWith ends netmirror and compares what the shadow service then has.
func (s *scene) endWith(t *testing.T, want []lab.Record) {
	t.Helper()
	s.netmirror.stop(t)
	// No connection comes any more; let the last of them end.
	if err := s.shadow.Wait(s.ctx, 0); err != nil {
		t.Errorf("shadow, after netmirror's end: %v", err)
	}
	if d := lab.Diff(want, s.forwarded()); d != "" {
		t.Error(d)
	}
	s.checkBooks(t)
}
