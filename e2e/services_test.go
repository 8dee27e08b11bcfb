package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"golang.org/x/sync/errgroup"

	"netmirror/e2e/lab"
)

const (
	secondPort  = 8083 // of the second service
	secondShade = shadowPort + 1
	slowShade   = shadowPort + 2
	deadShade   = shadowPort + 3
)

// servicesScene is a scene with two services. The first has three targets: a healthy
// one, one that reads nothing, and one that is dead.
func servicesScene(t *testing.T, opts lab.Options, args ...string) (s *scene, secondOrigin, second *lab.Server) {
	t.Helper()
	s = setServices(t, opts, nil)
	serve := func(n *lab.Namespace, port uint16, shadow bool, handle lab.Handler) *lab.Server {
		at := s.Origin(port)
		if shadow {
			at = s.Shadow(port)
		}
		server, err := n.Serve(at, handle)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Close)
		return server
	}
	secondOrigin = serve(s.Srv, secondPort, false, lab.AnswerHTTP)
	second = serve(s.Dst, secondShade, true, behindFirst(lab.AnswerHTTP))
	serve(s.Dst, slowShade, true, behindFirst(func(c *lab.Conn, done <-chan struct{}) {
		_ = c.SetReadBuffer(4 << 10) // else the kernel takes it all
		lab.NeverRead(c, done)
	}))
	first := fmt.Sprintf("42:%d=", servicePort)
	s.netmirror = start(t, s.Mon, netmirrorPath, append([]string{
		"--iface", lab.MirrorLink, "--write-timeout", "500ms", "--max-retries", "0",
		"--forward", first + s.Shadow(shadowPort).String(), "--forward", first + s.Shadow(slowShade).String(),
		"--forward", first + s.Shadow(deadShade).String(), "--forward", "any:8081-8085=" + s.Shadow(secondShade).String(),
	}, args...)...)
	s.ready(t)
	if err := second.Wait(s.ctx, 1); err != nil {
		t.Fatal(err)
	}
	return s, secondOrigin, second
}

// A dead and a slow target of a service do no harm to its third one, nor to another
// service.
func TestServices(t *testing.T) {
	for _, row := range []struct {
		name string
		opts lab.Options
		args []string
	}{
		{"one worker", lab.Options{BothDirections: true}, nil},
		{"two workers, inner IPv6", lab.Options{InnerIPv6: true}, []string{"--workers", "2"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			const conns = 20
			s, secondOrigin, second := servicesScene(t, row.opts, row.args...)
			load := connections(conns, 8, 4, 250_000)
			var clients errgroup.Group
			for _, port := range []uint16{servicePort, secondPort} {
				clients.Go(func() error { return load(s.ctx, s.ClientOf(port)) })
			}
			if err := clients.Wait(); err != nil {
				t.Fatalf("lab: %v", err)
			}
			for _, pair := range []struct{ origin, shadow *lab.Server }{{s.origin, s.shadow}, {secondOrigin, second}} {
				if err := pair.origin.Wait(s.ctx, conns); err != nil {
					t.Errorf("origin: %v", err)
				}
				if err := pair.shadow.Wait(s.ctx, 1+conns); err != nil {
					t.Errorf("shadow: %v", err)
				}
				if d := lab.Diff(pair.origin.Records(), pair.shadow.Records()[1:]); d != "" {
					t.Error(d)
				}
			}
			s.netmirror.stop(t)
			s.checkBooks(t)
			b := s.netmirror.final(t)
			// Streams that were given up are taken up again at the client's next request.
			if b["end_complete"] != 2*conns || b["end_target-refused"] < conns || b["end_target-slow"] < conns {
				t.Errorf("streams ended as %v", b)
			}
		})
	}
}

// The same connection in two networks is two, where any network is asked for.
func TestAnyNetwork(t *testing.T) {
	s := setServices(t, lab.Options{}, nil)
	s.netmirror = start(t, s.Mon, netmirrorPath, "--iface", lab.MirrorLink, "--vni", "any",
		"--port", fmt.Sprintf("1,%d", servicePort), "--to", s.Shadow(shadowPort).String())
	s.ready(t)
	one := s.craft(t, 1)
	two := *one
	two.vni = 4711
	for _, c := range []*crafted{one, &two} {
		c.open()
	}
	one.send([]byte("GET /one HTTP/1.1\r\n\r\n"), rightSum)
	two.send([]byte("GET /another HTTP/1.1\r\n\r\n"), rightSum)
	for _, c := range []*crafted{&two, one} {
		c.close()
	}
	if err := s.awaitForwarded(2); err != nil {
		t.Error(err)
	}
	s.netmirror.stop(t)
	var got []int64
	for _, r := range s.forwarded() {
		if got = append(got, r.Len); r.End != lab.EOF {
			t.Errorf("a stream ended as %v", r.End)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, []int64{21, 25}) {
		t.Errorf("streams of %d bytes", got)
	}
	s.checkBooks(t)
}

// The page lists services and says whose each connection is.
func TestPageOfServices(t *testing.T) {
	s, _, _ := servicesScene(t, lab.Options{}, "--http", ":9090")
	b := s.browse(t)
	b.do(chromedp.Navigate(pageAddress))
	b.await(`document.querySelectorAll("#service-rows tr").length === 4 && ` + headline + ` === "A target does not answer"`)
	second, err := s.ClientOf(secondPort).Open(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := second.Post(1, 1000); err != nil {
		t.Fatal(err)
	}
	b.await(`Array.from(document.querySelectorAll("#service-rows tr"), (row) => row.textContent).some((text) => text.startsWith("any:8081-8085") && text.includes("Answers") && text.includes("` +
		s.Shadow(secondShade).String() + `0 B01111"))`)
	b.do(chromedp.ScrollIntoView("#flows"))
	b.await(`document.querySelector("#flow-rows tr")?.lastElementChild.textContent === "any:8081-8085"`)
}

// The packets of a host are those of each service that has their port, whatever its
// VNIs.
func TestReplayOfServices(t *testing.T) {
	s := setOrigin(t, lab.Options{})
	s.serveShadow(t, lab.AnswerHTTP)
	r := s.record(t, s.Srv, "-i", lab.ClientLink, "tcp port 8080")
	if err := connections(10, 5, 2, 5_000)(s.ctx, s.client); err != nil {
		t.Fatalf("lab: %v", err)
	}
	if err := s.origin.Wait(s.ctx, 0); err != nil {
		t.Fatal(err)
	}
	to := s.Shadow(shadowPort).String()
	status, output := s.replay(t, "--speed", "max", "--forward", "7:8000-8090="+to, "--forward", "any:8081="+to, r.finish(t))
	if status != 0 {
		t.Errorf("exit status %d:\n%s", status, output)
	}
	if d := lab.Diff(s.origin.Records(), s.received(t)); d != "" {
		t.Error(d)
	}
	for _, line := range []string{`(?m)^ *7:8000-8090 +10 +10 +0 `, `(?m)^ *any:8081 +0 +0 +0 `} {
		if !regexp.MustCompile(line).MatchString(output) {
			t.Errorf("no line %s in\n%s", line, output)
		}
	}
}
