package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"netmirror/e2e/lab"
)

// nginx reads every request with the mark, and stores the same bodies: of a length,
// in chunks, and after 100-continue, on connections that are kept and on new ones.
func TestMarkedRequestsInNginx(t *testing.T) {
	nginxPath, curl := program(t, "nginx", "nginx"), program(t, "curl", "curl")
	s := &scene{Lab: buildLab(t, lab.Options{}), ctx: deadline(t)}
	origin := startNginx(t, s.Srv, nginxPath, s.Origin(servicePort).String())
	shadow := startNginx(t, s.Dst, nginxPath, s.Shadow(shadowPort).String(), `if ($http_x_shadow != "1; a") { return 409; }`)
	base := "http://" + s.Origin(servicePort).String() + "/"
	upload(t, s, curl, "--retry-connrefused", "--retry", "5", "-X", "OPTIONS", "--no-fail", base)
	s.netmirror = start(t, s.Mon, netmirrorPath, "--iface", lab.MirrorLink, "--vni", "42",
		"--port", fmt.Sprint(servicePort), "--to", s.Shadow(shadowPort).String(), "--mark-requests", "X-Shadow: 1; a")
	s.netmirror.capturing(s.ctx)

	n := uploadAll(t, s, curl, base, 20, "-H", "Transfer-Encoding: chunked")
	shadow.await(s.ctx, t, n)
	s.netmirror.stop(t)
	for _, line := range shadow.requests(t) {
		if !strings.Contains(line, " 201 ") {
			t.Errorf("the shadow service logged %q", line)
		}
	}
	compareStored(t, origin, shadow)
	b := s.netmirror.final(t)
	b.check(t)
	if b["requests_marked"] != int64(n) || b["bytes_added"] != int64(n*len("X-Shadow: 1; a\r\n")) {
		t.Errorf("%d requests marked, with %d bytes, of %d", b["requests_marked"], b["bytes_added"], n)
	}
}

// conversation is requests of a connection, of all forms, and those of them that are
// for /api.
func conversation(id uint64, n int) (all []string, wanted string, left int) {
	random := rand.New(lab.Body(id))
	for i := range n {
		path := []string{"/api/%d", "/other/%d", "http://lab/api?%d", "/apx%d"}[random.IntN(4)]
		target := fmt.Sprintf(path, i)
		content := string(body(id<<16|uint64(i), random.IntN(3)*random.IntN(20_000)))
		request := fmt.Sprintf("POST %s HTTP/1.1\r\nhost: LAB\r\nContent-Length: %d\r\n\r\n%s", target, len(content), content)
		switch random.IntN(3) {
		case 0:
			request = fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: lab:80\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nX-Sum: 1\r\n\r\n", target, len(content)+5, "GET /"+content)
		case 1:
			request = fmt.Sprintf("GET %s HTTP/1.1\r\nHOST:lab\r\nCookie: %s\r\n\r\n", target, strings.Repeat("a", random.IntN(4000)))
		}
		all = append(all, request)
		if strings.Contains(path, "/api") {
			wanted += request
		} else {
			left++
		}
	}
	return all, wanted, left
}

// The shadow service gets the requests that are asked for, whole, and nothing else:
// whether the client waits for each answer or not.
func TestOnlySomeRequests(t *testing.T) {
	for _, row := range []struct {
		name      string
		pipelined bool
		args      []string
	}{
		{"a request at a time", false, []string{"--only-path", "/api"}},
		{"pipelined", true, []string{"--only-path", "/nothing,/api", "--only-host", "lab"}},
		{"two workers", false, []string{"--only-path", "/api", "--workers", "2"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			const conns, each = 20, 50
			s := set(t, lab.Options{BothDirections: row.pipelined}, nil, row.args...)
			var want []lab.Record
			var left int
			for id := range uint64(conns) {
				all, wanted, n := conversation(id, each)
				left += n
				if row.pipelined {
					all = []string{strings.Join(all, "")}
				}
				want = append(want, lab.RecordOf(s.converse(t, all, each), []byte(wanted), lab.EOF))
			}
			s.compareWith(t, want)
			b := s.netmirror.final(t)
			if b["requests_not_matched"] != int64(left) || b["requests_matched"] != int64(conns*each-left) {
				t.Errorf("%d requests matched and %d not, of %d and %d", b["requests_matched"], b["requests_not_matched"], conns*each-left, left)
			}
		})
	}
}

// The shadow service sees no connection of a client that sends nothing for it, and one from
// the first request on that is.
func TestConnectionsWithoutARequestForTheTarget(t *testing.T) {
	const conns, other, wanted = 10, "GET /other HTTP/1.1\r\nHost: lab\r\n\r\n", "GET /api HTTP/1.1\r\nHost: lab\r\n\r\n"
	s := set(t, lab.Options{}, nil, "--only-path", "/api")
	for range conns {
		s.converse(t, []string{other, other}, 2)
	}
	client := s.converse(t, []string{other, wanted, other}, 3)
	s.compareWith(t, []lab.Record{lab.RecordOf(client, []byte(wanted), lab.EOF)})
	b := s.netmirror.final(t)
	b.check(t)
	if b["end_left-out"] != conns || b["end_complete"] != 1 || b["requests_not_matched"] != 2*conns+2 {
		t.Errorf("%d streams left out, %d complete, %d requests left out", b["end_left-out"], b["end_complete"], b["requests_not_matched"])
	}
	if n := s.netmirror.deliveredAtEnd(t); n != 100 {
		t.Errorf("%v %% reached the target", n)
	}
}

// The page has what became of requests, and nothing of what did not happen.
func TestStatusPageHasRequests(t *testing.T) {
	s := set(t, lab.Options{}, nil, append([]string{"--only-path", "/api"}, pageArgs...)...)
	all, _, left := conversation(1, 10)
	s.converse(t, all, 10)
	b := s.browse(t)
	b.do(chromedp.Navigate(pageAddress))
	const rows = `[...document.querySelectorAll("#sums tr")].map((row) => row.firstChild.firstChild.textContent + ": " + row.lastChild.textContent).filter((text) => /^(requests|streams) .*(mark|match|left|large|HTTP|tunnel|ambig)/.test(text)).join(", ")`
	b.await(fmt.Sprintf(`%s === "requests that match: %d, requests left out: %d"`, rows, 10-left, left))
}

// converse sends pieces with n requests on a connection of their own, and reads the
// answers to each piece before it sends the next.
func (s *scene) converse(t *testing.T, pieces []string, n int) (client netip.AddrPort) {
	t.Helper()
	err := s.client.With(s.ctx, func(c *lab.Stream) error {
		client = c.LocalAddr().(*net.TCPAddr).AddrPort()
		for _, p := range pieces {
			if _, err := c.Write([]byte(p)); err != nil {
				return err
			}
			for range n / len(pieces) {
				if err := c.Answer(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("lab: %v", err)
	}
	return client
}

// What is no HTTP/1 reaches no service that is asked for some requests, and reaches
// one whose requests are marked as it is.
func TestOtherProtocolsAndRequests(t *testing.T) {
	const other = "EHLO lab\r\nGET /api HTTP/1.1\r\n\r\n"
	for _, row := range []struct {
		args []string
		want []string // on each connection
	}{
		{[]string{"--only-path", "/"}, nil},
		{[]string{"--mark-requests", "X-Shadow: 1"}, []string{other}},
	} {
		s := set(t, lab.Options{}, lab.Swallow, row.args...)
		c := s.craft(t, 1)
		c.open()
		c.send([]byte(other), rightSum)
		c.close()
		var want []lab.Record
		for _, text := range row.want {
			want = append(want, lab.RecordOf(c.src, []byte(text), lab.EOF))
		}
		s.compareWith(t, want)
		if n := s.netmirror.final(t)["streams_not_http1"]; n != 1 {
			t.Errorf("%q: %d streams are no HTTP/1", row.args, n)
		}
	}
}
