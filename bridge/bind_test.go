package bridge

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"netmirror/target"
)

func from(addr string) target.Options { return target.Options{Source: netip.MustParseAddr(addr)} }

func TestStreamsComeFromTheSourceAddress(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), Options: from("127.0.0.9")})
	for range 3 {
		s := h.open(t)
		s.end(io.EOF)
		c := g.accept(t)
		if host, _, _ := net.SplitHostPort(c.RemoteAddr().String()); host != "127.0.0.9" {
			t.Errorf("it came from %s", host)
		}
		c.Close()
		want(t, "outcome", s.outcome(t), "complete")
	}
}

func TestNameIsReachedByAddressesOfTheSourcesFamily(t *testing.T) {
	g := newTarget(t)
	var k book
	k.set("::1", "127.0.0.1")
	h := serveName(t, &k, g, Config{Options: from("127.0.0.9")})
	h.once(t, g)
	want(t, "DialErrors", h.Stats().DialErrors, uint64(0))

	var only book
	only.set("::1")
	h = serveName(t, &only, g, Config{Options: from("127.0.0.9")})
	want(t, "outcome", h.open(t).outcome(t), "target-refused")
	if err := h.Health().Err; err == nil || !strings.Contains(err.Error(), "no address that can be reached from 127.0.0.9") {
		t.Errorf("health has %v", err)
	}
}

// 192.0.2.0/24 is nobody's (RFC 5737). That is no lack of ports.
func TestSourceAddressOfAnotherHost(t *testing.T) {
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), Options: from("192.0.2.77"), Retries: -1})
	want(t, "outcome", h.open(t).outcome(t), "target-refused")
	err := h.Health().Err
	if !errors.Is(err, syscall.EADDRNOTAVAIL) || !strings.Contains(err.Error(), "source address 192.0.2.77") {
		t.Errorf("health has %v", err)
	}
	if err := h.Check(t.Context()); errors.Is(err, ErrNoPort) || !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("the check says %v", err)
	}
}
