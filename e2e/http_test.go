package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"netmirror/e2e/lab"
)

// statusPage asks a netmirror that serves at a unix socket, which no network
// namespace keeps the test from.
type statusPage struct {
	t      testing.TB
	ctx    context.Context
	socket string
	client *http.Client
}

// withStatus starts a scene whose netmirror serves its status.
func withStatus(t testing.TB, opts lab.Options, shadow lab.Handler, args ...string) (*scene, *statusPage) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "http.sock")
	s := set(t, opts, shadow, append([]string{"--http", socket}, args...)...)
	return s, newStatusPage(t, s.ctx, socket)
}

func newStatusPage(t testing.TB, ctx context.Context, socket string) *statusPage {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	return &statusPage{t, ctx, socket, &http.Client{Transport: transport}}
}

// awaitSocket returns when somebody serves the page.
func (p *statusPage) awaitSocket() {
	p.t.Helper()
	for {
		c, err := net.Dial("unix", p.socket)
		if err == nil {
			c.Close()
			return
		}
		if p.ctx.Err() != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *statusPage) get(path string) (int, string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.ctx, http.MethodGet, "http://netmirror"+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := p.client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// metrics are the samples of /metrics by their names with labels.
func (p *statusPage) metrics() map[string]float64 {
	p.t.Helper()
	_, text := p.get("/metrics")
	all := make(map[string]float64)
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil && name != "#" {
			all[name] = v
		}
	}
	return all
}

// sum adds up the samples of a metric over its labels.
func sum(metrics map[string]float64, name string) (sum float64) {
	for key, v := range metrics {
		if key == name || strings.HasPrefix(key, name+"{") {
			sum += v
		}
	}
	return sum
}

// unbalanced are the sums that are not what their parts add up to.
func unbalanced(m map[string]float64) (wrong []string) {
	for _, id := range []struct {
		whole string
		parts []string
	}{
		{"netmirror_tap_packets_total", []string{"netmirror_decap_dropped_packets_total", "netmirror_stack_packets_total"}},
		{"netmirror_stack_packets_total", []string{"netmirror_stack_forwarded_packets_total", "netmirror_stack_held_packets", "netmirror_stack_dropped_packets_total"}},
		{"netmirror_stack_bytes_total", []string{"netmirror_bridge_written_bytes_total", "netmirror_stack_held_bytes", "netmirror_stack_dropped_bytes_total"}},
		{"netmirror_stack_streams_total", []string{"netmirror_bridge_connections", "netmirror_bridge_waiting_streams", "netmirror_bridge_streams_ended_total"}},
		{"netmirror_sent_bytes_total", []string{"netmirror_bridge_written_bytes_total", "netmirror_lost_bytes_total"}},
	} {
		var parts float64
		for _, p := range id.parts {
			parts += sum(m, p)
		}
		if whole := sum(m, id.whole); whole != parts || whole == 0 {
			wrong = append(wrong, fmt.Sprintf("%s is %v, but %v add up to %v", id.whole, whole, id.parts, parts))
		}
	}
	return wrong
}

// The metrics tell what the mirror carried, and every packet and byte of it is
// accounted for.
func TestMetricsAddUp(t *testing.T) {
	s, page := withStatus(t, lab.Options{LossEvery: 50, BothDirections: true}, nil)
	const conns, requests, size = 10, 30, 3000
	if err := connections(conns, conns, requests, size)(s.ctx, s.client); err != nil {
		t.Fatal(err)
	}
	var m map[string]float64
	for wrong := []string{""}; len(wrong) > 0; {
		if s.ctx.Err() != nil {
			t.Fatalf("it does not come to add up: %v in %v", wrong, m)
		}
		m = page.metrics()
		wrong = unbalanced(m)
		if got := m["netmirror_bridge_written_bytes_total"]; got != float64(s.shadow.Received()) || got == 0 {
			wrong = append(wrong, fmt.Sprintf("%v bytes are said to have been written, the target got %d", got, s.shadow.Received()))
		}
		if m[`netmirror_bridge_streams_ended_total{outcome="gap"}`] == 0 {
			wrong = append(wrong, "every 50th packet was lost, and no stream by it")
		}
		if held := m["netmirror_stack_held_packets"]; held != 0 {
			wrong = append(wrong, fmt.Sprintf("%v packets are held", held))
		}
	}
	if n := m["netmirror_forwarding_latency_seconds_count"]; n < conns {
		t.Errorf("%v latencies were measured on %d connections", n, conns)
	}
	if n, dials := m[`netmirror_bridge_dial_duration_seconds_count{result="ok"}`], m["netmirror_bridge_dials_total"]; n != dials || n < conns {
		t.Errorf("%v dials were timed, of %v", n, dials)
	}
	if m["netmirror_ready"] != 1 || m["netmirror_bridge_target_up"] != 1 {
		t.Error("not ready, or no target")
	}
}

// What a live connection is said to be is what the lab made it.
func TestLiveFlows(t *testing.T) {
	s, page := withStatus(t, lab.Options{}, nil)
	begin := time.Now()
	err := s.client.With(s.ctx, func(c *lab.Stream) error {
		if err := c.Post(1, 5000); err != nil {
			return err
		}
		size := int64(len(lab.PostHeader(1, 5000)) + 5000)
		if err := s.shadow.WaitReceived(s.ctx, size); err != nil {
			return err
		}
		client := c.Sent(lab.EOF).Client.String()
		_, body := page.get("/flows?client=" + client)
		var got struct {
			Total, Matched int
			Flows          []struct {
				VNI                   int
				Client, Server, State string
				Bytes, Held           int64
			}
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			return err
		}
		if got.Total != 1 || got.Matched != 1 {
			return fmt.Errorf("%s", body)
		}
		if f := got.Flows[0]; f.VNI != 42 || f.Client != client || f.Server != s.Origin(servicePort).String() || f.State != "open" || f.Bytes != size || f.Held != 0 {
			return fmt.Errorf("%+v, want %d bytes of %s", f, size, client)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	m := page.metrics()
	if n, took := m["netmirror_forwarding_latency_seconds_count"], m["netmirror_forwarding_latency_seconds_sum"]; n == 0 || took <= 0 || took > n*time.Since(begin).Seconds() {
		t.Errorf("%v latencies of %v s in all are told, %v after the connection began", n, took, time.Since(begin))
	}
	if code, _ := page.get("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d", code)
	}
	if code, _ := page.get("/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("profiles without --http-pprof: %d", code)
	}
	s.compare(t)
	if first := s.netmirror.logged()[0]; !strings.Contains(first, "msg=settings") {
		t.Errorf("the first line is not the settings in force: %s", first)
	}
	if _, err := os.Lstat(page.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket outlives netmirror: %v", err)
	}
}

// A load balancer is told to look elsewhere as soon as the capture ends, while
// what was captured is still on its way.
func TestNotReadyWhileDraining(t *testing.T) {
	open := make(chan struct{})
	s, page := withStatus(t, lab.Options{}, gate(open))
	if code, body := page.get("/readyz"); code != http.StatusOK {
		t.Fatalf("/readyz while capturing: %d %s", code, body)
	}
	sniffer, err := s.Mon.Sniff(lab.MirrorLink, lab.Incoming)
	if err != nil {
		t.Fatal(err)
	}
	defer sniffer.Close()
	const conns = 16
	if err := connections(conns, conns, 1, 1<<20)(s.ctx, s.client); err != nil {
		t.Fatal(err)
	}
	if err := sniffer.Wait(s.ctx, fins(conns)); err != nil {
		t.Fatal(err)
	}
	s.netmirror.terminate(t)
	if _, _, err := s.netmirror.await(s.ctx, 0, "msg=stopping"); err != nil {
		t.Fatal(err)
	}
	for code := http.StatusOK; code != http.StatusServiceUnavailable; {
		var body string
		if code, body = page.get("/readyz"); code != http.StatusOK && !strings.Contains(body, "draining") {
			t.Fatalf("/readyz while draining: %d %s", code, body)
		}
	}
	if code, _ := page.get("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz while draining: %d", code)
	}
	close(open)
	s.compare(t)
}

// setMirrorLink changes the mirror's interface in a namespace.
func setMirrorLink(t *testing.T, n *lab.Namespace, change func(netlink.Link) error) {
	t.Helper()
	if err := n.Do(func() error {
		link, err := netlink.LinkByName(lab.MirrorLink)
		if err != nil {
			return err
		}
		return change(link)
	}); err != nil {
		t.Fatal(err)
	}
}

// An interface that is down, or without carrier, captures nothing, and a load balancer is told.
func TestNotReadyWhileTheInterfaceIsDown(t *testing.T) {
	s, page := withStatus(t, lab.Options{}, nil)
	await := func(want int, text string) {
		t.Helper()
		for {
			code, body := page.get("/readyz") // which ctx ends
			if code == want && strings.Contains(body, text) {
				return
			}
		}
	}
	await(http.StatusOK, "capturing")
	for i, end := range []*lab.Namespace{s.Mon, s.Srv} {
		setMirrorLink(t, end, netlink.LinkSetDown)
		await(http.StatusServiceUnavailable, "interface is down or has no carrier: "+lab.MirrorLink)
		if m := page.metrics(); m["netmirror_tap_link_downs_total"] != float64(i+1) || m["netmirror_tap_link_up"] != 0 {
			t.Errorf("the interface went down %v times, and is up: %v", m["netmirror_tap_link_downs_total"], m["netmirror_tap_link_up"])
		}
		setMirrorLink(t, end, netlink.LinkSetUp)
		await(http.StatusOK, "capturing")
	}
	s.netmirror.stop(t)
}

// A port that is taken is said so before anything is captured, in one line.
func TestHTTPAddressThatIsTaken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	code, _, stderr := call(t, here, "--iface", "lo", "--vni", "1", "--port", "80", "--to", "127.0.0.1:9", "--http", ln.Addr().String())
	if code != 1 || !strings.Contains(stderr, "port is taken") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("status %d, %q", code, stderr)
	}
}
