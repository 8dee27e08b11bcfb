package target

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"golang.org/x/sys/unix"

	"netmirror/target/targettest"
)

func accept(t *testing.T, ln net.Listener) <-chan net.Conn {
	t.Helper()
	t.Cleanup(func() { ln.Close() })
	c := make(chan net.Conn, 1)
	go func() {
		if got, err := ln.Accept(); err == nil {
			c <- got
		}
	}()
	return c
}

func TestTryOfUnixSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for name, url := range map[string]string{path: "unix://" + path, "@netmirror-" + filepath.Base(t.TempDir()) + t.Name(): ""} {
		if url == "" {
			url = "unix:" + name
		}
		ln, err := net.Listen("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		conns := accept(t, ln)
		if err := try(t, url, Options{Source: netip.MustParseAddr("192.0.2.1"), Mark: 1}); err != nil {
			t.Error(err)
			continue
		}
		c := <-conns
		if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
			t.Errorf("%s got %q, %v", name, b, err)
		}
		c.Close()
	}
}

func TestTryWaitsForTheListenQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	waiting := targettest.FillQueue(t, ln)
	to, err := New("unix://"+path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	const limit = 500 * time.Millisecond // a busy machine reaches the first attempt in time
	begun := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := to.Try(ctx); !errors.Is(err, unix.EAGAIN) || time.Since(begun) < limit {
		t.Errorf("%v after %v, want EAGAIN after %v", err, time.Since(begun), limit)
	}
	tried := make(chan error)
	go func() {
		_, err := to.Try(t.Context())
		tried <- err
	}()
	for range waiting + 1 {
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if err := <-tried; err != nil {
		t.Error(err)
	}
}

func TestTryComesFromTheSourceAndSaysItIsNobody(t *testing.T) {
	for _, h := range []Header{HeaderV1, HeaderV2} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		conns := accept(t, ln)
		if err := try(t, ln.Addr().String(), Options{Source: netip.MustParseAddr("127.0.0.77"), Header: h}); err != nil {
			t.Fatal(err)
		}
		c := <-conns
		if from, _, _ := net.SplitHostPort(c.RemoteAddr().String()); from != "127.0.0.77" {
			t.Errorf("it came from %s", from)
		}
		r := bufio.NewReader(c)
		head, err := proxyproto.Read(r)
		rest, _ := io.ReadAll(r)
		if err != nil || head.SourceAddr != nil || len(rest) > 0 {
			t.Errorf("version %d: got %+v, %v and %q behind it", h, head, err, rest)
		}
		c.Close()
	}
}

func TestSourceOfTheOtherFamily(t *testing.T) {
	for source, text := range map[string]string{"127.0.0.1": "[::1]:80", "::1": "tls://127.0.0.1:443"} {
		_, err := New(text, Options{Source: netip.MustParseAddr(source)})
		if err == nil || !strings.Contains(err.Error(), "one is IPv4, the other IPv6") {
			t.Errorf("%s from %s: %v", text, source, err)
		}
	}
	target, err := New("localhost:80", Options{Source: netip.MustParseAddr("::ffff:127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	if !target.Reaches(netip.MustParseAddr("192.0.2.1")) || target.Reaches(netip.MustParseAddr("2001:db8::1")) {
		t.Error("a name is reached by the addresses of the source's family")
	}
}
