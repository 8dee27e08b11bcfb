package status

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"netmirror/decap"
	"netmirror/outcome"
	"netmirror/stack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// served is a monitor of fixed figures behind a real listener.
type served struct {
	*Monitor
	t      *testing.T
	base   string
	client *http.Client
}

func serve(t *testing.T, address string, profiles bool) *served {
	t.Helper()
	f := newFigures()
	f.s.Time, f.s.Frames, f.s.Ring.Drops, f.s.Ring.Mapped, f.s.Bridge.Outcomes[outcome.EndGap] = time.Now(), 17, 3, 4096, 2
	f.s.Decap[decap.OtherVNI] = 5
	m := NewMonitor(Config{
		Version: "v1.2.3 abc", Target: "staging:80", Settings: []Setting{{Flag: "vni", Value: "42"}},
		Source: Source{Snapshot: func() Snapshot { return f.s }, Flows: someFlows},
	})
	m.Look()
	ln, err := Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	metrics := NewMetrics()
	metrics.Latency(3 * time.Millisecond)
	metrics.DialTime(time.Millisecond, nil)
	go func() { ended <- m.Serve(ctx, ln, metrics.Handler(m), profiles) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, ln.Addr().Network(), ln.Addr().String())
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &served{m, t, "http://localhost", &http.Client{Transport: transport, Timeout: 20 * time.Second}}
}

// someFlows are 2500 connections, of which number 7 has most to wait for.
func someFlows() []stack.FlowInfo {
	now := time.Now()
	all := make([]stack.FlowInfo, 2500)
	for i := range all {
		all[i] = stack.FlowInfo{
			VNI: uint32(42 + i%2), State: stack.FlowOpen, Received: uint64(i),
			Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i / 250), byte(i % 250)}), uint16(40000+i)),
			Server: netip.MustParseAddrPort("10.9.9.9:8080"),
			Opened: now.Add(-time.Duration(i) * time.Second), LastPacket: now,
		}
	}
	all[7].Held, all[7].State = 99999, stack.FlowGap
	return all
}

func (s *served) do(method, path, host string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.base+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if host != "" {
		r.Host = host
	}
	res, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, string(body)
}

func (s *served) get(path string) (int, string) {
	s.t.Helper()
	res, body := s.do(http.MethodGet, path, "")
	return res.StatusCode, body
}

func TestHealth(t *testing.T) {
	s := serve(t, ":0", false)
	if code, body := s.get("/healthz"); code != 200 || body != "alive\n" {
		t.Errorf("/healthz: %d %q", code, body)
	}
	if code, body := s.get("/readyz"); code != 503 || !strings.Contains(body, "starting") {
		t.Errorf("/readyz before the capture: %d %q", code, body)
	}
	s.Enter(Capturing)
	if code, _ := s.get("/readyz"); code != 200 {
		t.Errorf("/readyz: %d", code)
	}
	s.Enter(Draining)
	if code, body := s.get("/readyz"); code != 503 || !strings.Contains(body, "draining") {
		t.Errorf("/readyz at the end: %d %q", code, body)
	}
}

func TestNothingCanBeWritten(t *testing.T) {
	s := serve(t, ":0", true)
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		for _, path := range []string{"/", "/metrics", "/flows", "/debug/pprof/symbol"} {
			if res, _ := s.do(method, path, ""); res.StatusCode != 405 || res.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %s", method, path, res.Status)
			}
		}
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	s := serve(t, ":0", false)
	for _, path := range []string{"/", "/metrics", "/healthz", "/readyz", "/flows", "/status.json", "/history.json", "/nowhere"} {
		res, _ := s.do("GET", path, "")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: Content-Security-Policy %q", path, csp)
		}
	}
}

// A page elsewhere can have its name resolve to the loopback address and then
// read what it says, unless the name is looked at (DNS rebinding).
func TestOnLoopbackOnlyOwnNamesAreAnswered(t *testing.T) {
	s := serve(t, ":0", false)
	for host, want := range map[string]int{
		"localhost:9090": 200, "LOCALHOST": 200, "127.0.0.1:9090": 200, "[::1]:9090": 200, "evil.example:9090": 403, "localhost.evil.example": 403,
	} {
		if res, _ := s.do("GET", "/healthz", host); res.StatusCode != want {
			t.Errorf("Host %s: %s", host, res.Status)
		}
	}
	wide := serve(t, "0.0.0.0:0", false)
	if res, _ := wide.do("GET", "/healthz", "netmirror.example:9090"); res.StatusCode != 200 {
		t.Errorf("where an address was given, a name is answered with %s", res.Status)
	}
}

func TestListen(t *testing.T) {
	ln, err := Listen(":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if ip := ln.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
		t.Errorf("without a host it listens on %v", ip)
	}
	for address, want := range map[string]string{
		"9090": "need [HOST]:PORT", ln.Addr().String(): "port is taken", "/no/such/dir/sock": "no such file",
	} {
		if l, err := Listen(address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
			if l != nil {
				l.Close()
			}
		}
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "http.sock")
	s := serve(t, path, false)
	if code, _ := s.get("/healthz"); code != 200 {
		t.Errorf("over the socket: %d", code)
	}
	if res, _ := s.do("GET", "/healthz", "any.name"); res.StatusCode != 200 {
		t.Errorf("a name over the socket: %s", res.Status)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "another process serves") {
		t.Errorf("a socket that is served: %v", err)
	}
}

// A socket stays behind where its server was killed.
func TestUnixSocketThatWasLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "http.sock")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("after Close: %v", err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("in place of a file: %v", err)
	}
	// One of another kind, as /dev/log is.
	other, err := net.ListenPacket("unixgram", path+"2")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := Listen(path + "2"); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("in place of a datagram socket: %v", err)
	}
	if _, err := os.Lstat(path + "2"); err != nil {
		t.Errorf("the other socket is gone: %v", err)
	}
	// One that has taken this one's place meanwhile.
	mine, err := Listen(path + "3")
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(path + "3")
	theirs, err := Listen(path + "3")
	if err != nil {
		t.Fatal(err)
	}
	mine.Close()
	if _, err := os.Lstat(path + "3"); err != nil {
		t.Errorf("closing removed another's socket: %v", err)
	}
	theirs.Close()
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Error("a file was removed for the socket")
	}
}

func TestMetrics(t *testing.T) {
	s := serve(t, ":0", false)
	code, text := s.get("/metrics")
	if code != 200 {
		t.Fatal(code)
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "netmirror_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	for _, line := range []string{
		"netmirror_tap_packets_total 17",
		"netmirror_tap_ring_dropped_packets_total 3",
		"netmirror_tap_ring_bytes 4096",
		`netmirror_decap_dropped_packets_total{reason="other_vni"} 5`,
		`netmirror_stack_dropped_packets_total{reason="gap"} 0`,
		`netmirror_bridge_streams_ended_total{outcome="gap"} 2`,
		`netmirror_forwarding_latency_seconds_bucket{le="0.002"} 0`,
		`netmirror_forwarding_latency_seconds_bucket{le="0.003"} 1`,
		`netmirror_bridge_dial_duration_seconds_count{result="ok"} 1`,
		`netmirror_bridge_dial_duration_seconds_count{result="error"} 0`,
		"netmirror_ready 0",
		`netmirror_build_info{goversion=`,
		"go_goroutines ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("no line %q", line)
		}
	}
}

func TestFlows(t *testing.T) {
	s := serve(t, ":0", false)
	for _, tc := range []struct {
		query   string
		matched int
		shown   int
		first   string // client of the first one
	}{
		{"", 2500, 100, "10.0.9.249:42499"}, // the oldest
		{"?limit=3&offset=2499", 2500, 1, "10.0.0.0:40000"},
		{"?offset=9999", 2500, 0, ""},
		{"?sort=held", 2500, 100, "10.0.0.7:40007"},
		{"?sort=bytes&limit=1", 2500, 1, "10.0.9.249:42499"},
		{"?state=gap", 1, 1, "10.0.0.7:40007"},
		{"?vni=43&limit=1000", 1250, 1000, "10.0.9.249:42499"},
		{"?client=10.0.3.0/24&limit=1", 250, 1, "10.0.3.249:40999"},
		{"?client=10.0.3.9", 1, 1, "10.0.3.9:40759"},
		{"?client=10.0.3.9:40759", 1, 1, "10.0.3.9:40759"},
		{"?client=10.0.3.9:1", 0, 0, ""},
		{"?client=&state=", 2500, 100, "10.0.9.249:42499"},
	} {
		code, body := s.get("/flows" + tc.query)
		var got flowPage
		if err := json.Unmarshal([]byte(body), &got); code != 200 || err != nil {
			t.Errorf("%s: %d, %v", tc.query, code, err)
			continue
		}
		first := ""
		if len(got.Flows) > 0 {
			first = got.Flows[0].Client
		}
		if got.Total != 2500 || got.Matched != tc.matched || len(got.Flows) != tc.shown || first != tc.first {
			t.Errorf("%s: %d of %d match, %d shown from %s; want %d, %d, %s", tc.query, got.Matched, got.Total, len(got.Flows), first, tc.matched, tc.shown, tc.first)
		}
	}
	for query, want := range map[string]string{
		"limit=0": "1 to 1000", "limit=1001": "1 to 1000", "limit=x": "number", "offset=-1": "number", "sort=name": "held",
		"state=closed": "backlog", "client=here": "10.0.0.1", "vni=a": "number", "page=2": "no such parameter",
	} {
		if code, body := s.get("/flows?" + query); code != 400 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %q, want %q", query, code, body, want)
		}
	}
}

func TestProfilesAreOffUnlessAskedFor(t *testing.T) {
	if code, _ := serve(t, ":0", false).get("/debug/pprof/"); code != 404 {
		t.Errorf("without --http-pprof: %d", code)
	}
	s := serve(t, ":0", true)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline", "/debug/pprof/trace?seconds=0.1"} {
		if code, body := s.get(path); code != 200 || body == "" {
			t.Errorf("%s: %d", path, code)
		}
	}
}

func TestStatusAndHistory(t *testing.T) {
	s := serve(t, ":0", false)
	s.Enter(Capturing)
	var r report
	if _, body := s.get("/status.json"); json.Unmarshal([]byte(body), &r) != nil || r.Phase != Capturing || !r.Ready ||
		r.Target.State != "unknown" || r.Totals.Packets != 17 || ids(r.Problems) != "ring_full gap" || r.Settings[0].Value != "42" {
		t.Errorf("%+v", r)
	}
	_, body := s.get("/history.json")
	var h struct{ Samples []Sample }
	if json.Unmarshal([]byte(body), &h) != nil || len(h.Samples) != 1 || h.Samples[0].Packets != 17 || h.Samples[0].Lost["ring_full"] != 3 || h.Samples[0].LostStreams["gap"] != 2 {
		t.Errorf("%s", body)
	}
	if _, body = s.get(fmt.Sprintf("/history.json?since=%d", h.Samples[0].T)); !strings.Contains(body, `"samples":[]`) {
		t.Errorf("since the last: %s", body)
	}
	if code, _ := s.get("/history.json?since=yesterday"); code != 400 {
		t.Errorf("a wrong time: %d", code)
	}
}

// dial makes a connection that says nothing yet.
func (s *served) dial() net.Conn {
	s.t.Helper()
	c, err := s.client.Transport.(*http.Transport).DialContext(s.t.Context(), "", "")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

// Connections that are kept open, whether they have asked something or not, keep
// nobody out.
func TestIdleClientsKeepNobodyOut(t *testing.T) {
	s := serve(t, ":0", false)
	for i := range 3 * MaxClients {
		c := s.dial()
		if i%2 == 0 {
			continue
		}
		fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
			t.Fatalf("connection %d: %q, %v", i, line, err)
		}
	}
	if code, _ := s.get("/healthz"); code != 200 {
		t.Error(code)
	}
}

func TestWhoMakesRoom(t *testing.T) {
	conns := make([]net.Conn, 5)
	for i := range conns {
		var other net.Conn
		conns[i], other = net.Pipe()
		defer other.Close()
	}
	closed := func(c net.Conn) bool {
		c.SetReadDeadline(time.Now())
		_, err := c.Read(make([]byte, 1))
		return errors.Is(err, io.ErrClosedPipe)
	}
	c := &crowd{limit: 3, all: make(map[net.Conn]doing)}
	c.changed(conns[0], http.StateNew)
	c.changed(conns[1], http.StateActive)
	c.changed(conns[2], http.StateIdle)
	c.changed(conns[3], http.StateNew)
	if !closed(conns[2]) || len(c.all) != 3 {
		t.Error("an idle one goes first")
	}
	c.changed(conns[2], http.StateClosed)
	c.changed(conns[4], http.StateNew)
	if !closed(conns[0]) || closed(conns[1]) || closed(conns[3]) || closed(conns[4]) {
		t.Error("then the one that has asked nothing for the longest time")
	}
}

func TestTooManyRequests(t *testing.T) {
	s := serve(t, ":0", false)
	refused := 0
	for range 4 * perSecond {
		if code, _ := s.get("/history.json"); code == http.StatusTooManyRequests {
			refused++
		} else if code != 200 {
			t.Fatal(code)
		}
	}
	if refused == 0 {
		t.Error("none of them was refused")
	}
	for range 4 * perSecond {
		if code, _ := s.get("/healthz"); code != 200 {
			t.Fatal("a health check was refused")
		}
	}
}

// HTTP/1.0, as simple health checks speak it, has no Host.
func TestWithoutHost(t *testing.T) {
	c := serve(t, ":0", false).dial()
	fmt.Fprint(c, "GET /healthz HTTP/1.0\r\n\r\n")
	if b, err := io.ReadAll(c); err != nil || !strings.Contains(string(b), "200 OK") {
		t.Errorf("%q, %v", b, err)
	}
}

// The server's own messages come through the log, one a minute.
func TestTroubleIsToldSeldom(t *testing.T) {
	var out bytes.Buffer
	w := &seldom{log: slog.New(slog.NewTextHandler(&out, nil))}
	for range 100 {
		fmt.Fprintln(w, "http: Accept error: too many open files")
	}
	if n := strings.Count(out.String(), "level=WARN"); n != 1 || !strings.Contains(out.String(), "too many open files") {
		t.Errorf("%d lines: %s", n, out.String())
	}
}
