package status

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

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

// HTTP/1.0, as simple health checks speak it, has no Host.
func TestWithoutHost(t *testing.T) {
	c := serve(t, ":0", false).dial()
	fmt.Fprint(c, "GET /healthz HTTP/1.0\r\n\r\n")
	if b, err := io.ReadAll(c); err != nil || !strings.Contains(string(b), "200 OK") {
		t.Errorf("%q, %v", b, err)
	}
}
