package e2e

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/e2e/lab"
)

// hold opens n connections with a request on each, and leaves them open.
func (s *scene) hold(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		c, err := s.client.Open(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.Get(uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// awaitMetric returns the metrics once one of them has come to a value.
func (p *statusPage) awaitMetric(name string, value float64) map[string]float64 {
	p.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond) // more often is refused
	defer tick.Stop()
	for {
		m := p.metrics()
		if m[name] >= value {
			return m
		}
		select {
		case <-tick.C:
		case <-p.ctx.Done():
			p.t.Fatalf("%s is %v, and does not come to be %v", name, m[name], value)
		}
	}
}

// Where the limit of open files is too low for --max-conns, there are fewer
// connections, which is said, and --http answers.
func TestTooFewDescriptorsForMaxConns(t *testing.T) {
	const limit, most, clients = 128, 32, 60
	s := setServices(t, lab.Options{}, nil)
	socket := filepath.Join(t.TempDir(), "http.sock")
	s.netmirror = startCommand(t, s.Mon, exec.Command("sh", "-c", `ulimit -n `+strconv.Itoa(limit)+` && exec "$@"`, "sh", netmirrorPath,
		"--iface", lab.MirrorLink, "--vni", "42", "--port", strconv.Itoa(servicePort), "--to", s.Shadow(shadowPort).String(),
		"--http", socket, "--workers", "1"))
	s.ready(t)
	if _, _, err := s.netmirror.await(s.ctx, 0, "the limit of open files is too low for --max-conns"); err != nil {
		t.Error(err)
	}
	page := newStatusPage(t, s.ctx, socket)
	s.hold(t, clients)
	m := page.awaitMetric("netmirror_bridge_turned_away_streams_total", clients-most)
	for name, want := range map[string]float64{
		"netmirror_bridge_max_connections": most, "netmirror_bridge_connections": most, "netmirror_bridge_dial_errors_total": 0,
		`netmirror_bridge_streams_ended_total{outcome="no-descriptor"}`: 0, "process_max_fds": limit,
	} {
		if m[name] != want {
			t.Errorf("%s is %v, want %v", name, m[name], want)
		}
	}
}

// A netmirror that runs out of descriptors says so, blames no target, and goes on
// when there are some again.
func TestOutOfDescriptors(t *testing.T) {
	const clients = 5
	socket := filepath.Join(t.TempDir(), "http.sock")
	s := set(t, lab.Options{}, nil, "--http", socket, "--max-retries", "0")
	page := newStatusPage(t, s.ctx, socket)
	page.client = oneConnection(t, socket)
	page.metrics()
	pid := s.netmirror.cmd.Process.Pid
	var before unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: freeDescriptor(t, pid), Max: 1 << 10}, &before); err != nil {
		t.Fatal(err)
	}
	s.hold(t, clients)
	m := page.awaitMetric(`netmirror_bridge_streams_ended_total{outcome="no-descriptor"}`, clients)
	if m[`netmirror_bridge_streams_ended_total{outcome="target-refused"}`] != 0 || m["netmirror_bridge_target_up"] != 1 {
		t.Error("the target was blamed")
	}
	_, next, err := s.netmirror.await(s.ctx, 0, "no file descriptor is left to connect to the target with")
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1 << 10, Max: 1 << 10}, nil); err != nil {
		t.Fatal(err)
	}
	s.hold(t, 1)
	if _, _, err := s.netmirror.await(s.ctx, next, "there are file descriptors for the target's connections again"); err != nil {
		t.Error(err)
	}
	page.awaitMetric("netmirror_bridge_connections", 1)
}

// oneConnection asks over one connection, which is kept.
func oneConnection(t *testing.T, socket string) *http.Client {
	transport := &http.Transport{MaxConnsPerHost: 1, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// freeDescriptor is the lowest number that no open file of the process has.
func freeDescriptor(t *testing.T, pid int) (n uint64) {
	t.Helper()
	for {
		_, err := os.Lstat(filepath.Join("/proc", strconv.Itoa(pid), "fd", strconv.FormatUint(n, 10)))
		if errors.Is(err, fs.ErrNotExist) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
}
