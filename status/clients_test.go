package status

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

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
