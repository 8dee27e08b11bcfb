package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"golang.org/x/sys/unix"

	"netmirror/e2e/lab"
	"netmirror/target/targettest"
)

// delivery is a connection that came to a shadow service.
type delivery struct {
	client, server string // as the kernel has them, or a header
	data           []byte
	err            error // nil where it ended in order
}

// deliveries serves a listener until the test ends. read reads a connection's bytes.
func deliveries(t *testing.T, ln net.Listener, read func(net.Conn) ([]byte, error)) <-chan delivery {
	t.Helper()
	all := make(chan delivery, 100)
	targettest.Serve(t, ln, func(c net.Conn) {
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		d := delivery{}
		d.data, d.err = read(c)
		// Of a header, where there was one.
		d.client, d.server = c.RemoteAddr().String(), c.LocalAddr().String()
		c.Close()
		all <- d
	})
	return all
}

func toEnd(c net.Conn) ([]byte, error) { return io.ReadAll(c) }

// next is the next connection that has come and ended.
func (s *scene) next(t *testing.T, all <-chan delivery) delivery {
	t.Helper()
	select {
	case a := <-all:
		return a
	case <-s.ctx.Done():
		t.Fatal("no connection came to the target")
		return delivery{}
	}
}

// tried takes the connection by which netmirror tries the target at its start.
func (s *scene) tried(t *testing.T, all <-chan delivery) {
	t.Helper()
	s.netmirror.capturing(s.ctx)
	if a := s.next(t, all); len(a.data) > 0 || a.err != nil {
		t.Fatalf("the first connection brought %q, %v", a.data, a.err)
	}
}

// post is what [lab.Stream.Post] sends.
func post(id uint64, size int) []byte {
	body := make([]byte, size)
	lab.Body(id).Read(body)
	return append([]byte(lab.PostHeader(id, int64(size))), body...)
}

// endings has one client finish and one reset its connection, and checks what came.
func (s *scene) endings(t *testing.T, all <-chan delivery, reset error) {
	t.Helper()
	const size = 300_000
	for id, want := range []error{nil, reset} {
		if err := s.client.With(s.ctx, func(c *lab.Stream) error {
			if want != nil {
				_ = c.SetLinger(0)
			}
			return c.Post(uint64(id), size)
		}); err != nil {
			t.Fatal(err)
		}
		a := s.next(t, all)
		if !bytes.Equal(a.data, post(uint64(id), size)) {
			t.Errorf("client %d: %d bytes came, other than the %d sent", id, len(a.data), len(post(uint64(id), size)))
		}
		if !errors.Is(a.err, want) {
			t.Errorf("client %d: the target's read ended with %v, want %v", id, a.err, want)
		}
	}
}

func TestTLSTarget(t *testing.T) {
	ca := targettest.NewAuthority(t)
	cert, key := ca.Files(t, "netmirror.test")
	s := setOrigin(t, lab.Options{})
	ln, err := s.Dst.Listen(s.Shadow(shadowPort))
	if err != nil {
		t.Fatal(err)
	}
	all := deliveries(t, tls.NewListener(ln, &tls.Config{
		Certificates: []tls.Certificate{ca.Issue(t, "shadow.test")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
	}), toEnd)
	s.netmirror = start(t, s.Mon, netmirrorPath, "--iface", lab.MirrorLink, "--vni=42", fmt.Sprintf("--port=%d", servicePort),
		"--to=tls://"+s.Shadow(shadowPort).String(), "--tls-ca", ca.File(t), "--tls-name=shadow.test", "--tls-cert", cert, "--tls-key", key)
	s.tried(t, all)
	s.endings(t, all, unix.ECONNRESET) // crypto/tls: io.EOF is a close_notify
	s.netmirror.stop(t)
	s.checkBooks(t)
}

func TestTLSTargetThatIsNotTrusted(t *testing.T) {
	ca, other := targettest.NewAuthority(t), targettest.NewAuthority(t)
	s := setOrigin(t, lab.Options{})
	ln, err := s.Dst.Listen(s.Shadow(shadowPort))
	if err != nil {
		t.Fatal(err)
	}
	all := deliveries(t, tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{ca.Issue(t, "shadow.test")}}), toEnd)
	s.netmirror = start(t, s.Mon, netmirrorPath, "--iface", lab.MirrorLink, "--vni=42", fmt.Sprintf("--port=%d", servicePort),
		"--to=tls://"+s.Shadow(shadowPort).String(), "--tls-ca", other.File(t), "--tls-name=shadow.test", "--max-retries=0")
	if line, _, err := s.netmirror.await(s.ctx, 0, "does not answer"); err != nil || !strings.Contains(line, "certificate signed by unknown authority") {
		t.Errorf("%v: %s", err, line)
	}
	if err := s.client.With(s.ctx, func(c *lab.Stream) error { return c.Get(1) }); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first try, and the stream
		if a := s.next(t, all); len(a.data) > 0 || a.err == nil {
			t.Errorf("%q came, %v", a.data, a.err)
		}
	}
	s.netmirror.stop(t)
	// A stream can be refused before its request comes, which is another one then.
	if b := s.netmirror.final(t); b["end_target-refused"] == 0 || b["end_target-refused"] != b["flows_opened"] ||
		b["bytes_lost_target"] == 0 || b["bytes_lost_target"] != b["bytes_received"] {
		t.Errorf("streams ended as %v", b)
	}
}

func TestUnixTarget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	s := setOrigin(t, lab.Options{})
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	all := deliveries(t, ln, func(c net.Conn) ([]byte, error) {
		_, _ = c.Write([]byte("an answer, whatever comes"))
		return io.ReadAll(c)
	})
	s.netmirror = start(t, s.Mon, netmirrorPath, "--iface", lab.MirrorLink, "--vni=42", fmt.Sprintf("--port=%d", servicePort), "--to=unix://"+path)
	s.netmirror.capturing(s.ctx)
	if a := s.next(t, all); len(a.data) > 0 { // which may end with the answer unread
		t.Fatalf("the first connection brought %q", a.data)
	}
	s.endings(t, all, unix.ECONNRESET)
	s.netmirror.stop(t)
	s.checkBooks(t)
}

func TestProxyHeaders(t *testing.T) {
	for _, opts := range []struct {
		version string
		lab     lab.Options
	}{{"v1", lab.Options{}}, {"v2", lab.Options{InnerIPv6: true}}} {
		t.Run(opts.version, func(t *testing.T) {
			s := setOrigin(t, opts.lab)
			ln, err := s.Dst.Listen(s.Shadow(shadowPort))
			if err != nil {
				t.Fatal(err)
			}
			policy := func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.REQUIRE, nil }
			// The target closes behind each request, so that the next one is picked up.
			all := deliveries(t, &proxyproto.Listener{Listener: ln, ConnPolicy: policy}, func(c net.Conn) ([]byte, error) {
				request, err := bufio.NewReader(c).ReadBytes('\n')
				if errors.Is(err, io.EOF) {
					err = nil
				}
				return request, err
			})
			s.startNetmirror(t, "--proxy-protocol", opts.version)
			s.netmirror.capturing(s.ctx)
			if a := s.next(t, all); len(a.data) > 0 || a.err != nil { // which says that it is nobody's (LOCAL)
				t.Fatalf("the first connection brought %q, %v", a.data, a.err)
			}
			if err := s.client.With(s.ctx, func(c *lab.Stream) error {
				for id := range uint64(3) {
					if err := c.Get(id); err != nil {
						return err
					}
					a := s.next(t, all)
					if a.err != nil || !strings.HasPrefix(string(a.data), fmt.Sprintf("GET /%d ", id)) {
						t.Errorf("connection %d: %q, %v", id, a.data, a.err)
					}
					if a.client != c.LocalAddr().String() || a.server != s.Origin(servicePort).String() {
						t.Errorf("connection %d: the header has %s and %s, the client is %v and the server %v", id, a.client, a.server, c.LocalAddr(), s.Origin(servicePort))
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			s.netmirror.stop(t)
		})
	}
}

// The mirrored service is behind a load balancer that sends headers: they stay the only
// ones.
func TestProxyHeaderThatIsMirrored(t *testing.T) {
	const sent = "PROXY TCP4 203.0.113.9 203.0.113.10 7 8\r\nGET / HTTP/1.1\r\nHost: lab\r\n\r\n"
	s := setOrigin(t, lab.Options{})
	second, err := s.Srv.Serve(s.Origin(secondPort), lab.Swallow)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(second.Close)
	ln, err := s.Dst.Listen(s.Shadow(shadowPort))
	if err != nil {
		t.Fatal(err)
	}
	all := deliveries(t, ln, toEnd)
	s.netmirror = start(t, s.Mon, netmirrorPath, "--iface", lab.MirrorLink, "--vni=42", fmt.Sprintf("--port=%d", secondPort),
		"--to", s.Shadow(shadowPort).String(), "--proxy-protocol=v1")
	s.netmirror.capturing(s.ctx)
	if a := s.next(t, all); string(a.data) != "PROXY UNKNOWN\r\n" {
		t.Errorf("the first try brought %q", a.data)
	}
	if err := s.ClientOf(secondPort).With(s.ctx, func(c *lab.Stream) error {
		_, err := c.Write([]byte(sent))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if a := s.next(t, all); string(a.data) != sent || a.err != nil {
		t.Errorf("%q came, %v, want what was sent", a.data, a.err)
	}
	s.netmirror.stop(t)
}

// The settings of a section are for its target only.
func TestSourceAddressAndMarkOfAService(t *testing.T) {
	s := setOrigin(t, lab.Options{})
	source, err := s.SecondSource()
	if err != nil {
		t.Fatal(err)
	}
	const mark = 0x2a
	if err := s.Mon.RefuseUnmarked(shadowPort, mark); err != nil {
		t.Fatal(err)
	}
	var shadows []<-chan delivery
	for _, port := range []uint16{shadowPort, secondShade} {
		ln, err := s.Dst.Listen(s.Shadow(port))
		if err != nil {
			t.Fatal(err)
		}
		shadows = append(shadows, deliveries(t, ln, toEnd))
	}
	config := filepath.Join(t.TempDir(), "netmirror.conf")
	text := fmt.Sprintf("[Service marked]\nvni=42\nport=%[1]d\nto=tcp://%[2]v\nsource-address=%[3]v\nmark=0x2a\n[Service plain]\nvni=42\nport=%[1]d\nto=%[4]v\n",
		servicePort, s.Shadow(shadowPort), source, s.Shadow(secondShade))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.netmirror = start(t, s.Mon, netmirrorPath, "--iface", lab.MirrorLink, "--config", config)
	for _, all := range shadows {
		s.tried(t, all)
	}
	if err := s.client.With(s.ctx, func(c *lab.Stream) error { return c.Get(1) }); err != nil {
		t.Fatal(err)
	}
	var from []string
	for _, all := range shadows {
		a := s.next(t, all)
		if string(a.data) != lab.GetHeader(1) || a.err != nil {
			t.Errorf("%q came, %v", a.data, a.err)
		}
		host, _, _ := net.SplitHostPort(a.client)
		from = append(from, host)
	}
	if !slices.Equal(from, []string{source.String(), "10.77.3.1"}) {
		t.Errorf("the connections came from %q", from)
	}
	s.netmirror.stop(t)
}

// Before Linux 5.17 CAP_NET_RAW is not enough.
func TestMarkWithoutTheCapability(t *testing.T) {
	in := func(run func() error) error {
		return without(unix.CAP_NET_ADMIN)(func() error {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_NET_RAW, 0, 0, 0); err != nil {
				return err
			}
			return run()
		})
	}
	status, stdout, stderr := call(t, in, "--capture=udp", "--vni=42", "--port=80", "--to=127.0.0.1:9", "--mark=7")
	checkRefusal(t, status, stdout, stderr, "--mark 7", "CAP_NET_ADMIN")
}
