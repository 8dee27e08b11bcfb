package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"netmirror/e2e/lab"
)

const (
	keepAliveLimit    = 100 // requests that a target allows a connection
	keepAliveRequests = 1000
)

// politely has one connection make requests, by ask, one after another. At each
// limit it waits until the target's kernel has said that the connection
// ends: what is on its way to a target that closes is lost to anyone.
func (s *scene) politely(t *testing.T, ask func(c *lab.Stream, id uint64) error) {
	t.Helper()
	sniffer, err := s.Mon.Sniff(lab.ShadowLink, lab.Incoming)
	if err != nil {
		t.Fatal(err)
	}
	defer sniffer.Close()
	soon, cancel := context.WithTimeout(s.ctx, 15*time.Second)
	defer cancel()
	if err := s.client.With(s.ctx, func(c *lab.Stream) error {
		for id := range uint64(keepAliveRequests) {
			if err := ask(c, id); err != nil {
				return err
			}
			if limits := (id + 1) / keepAliveLimit; (id+1)%keepAliveLimit == 0 {
				if err := sniffer.Wait(soon, ends(int(limits))); err != nil {
					return fmt.Errorf("the target did not end its connection number %d: %w", limits, err)
				}
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// ends returns a function that counts the target's connections of which it has
// answered requests and then sent a FIN or RST, and says whether there are n.
func ends(n int) func(packet []byte) bool {
	answered, ended := make(map[layers.TCPPort]bool), 0
	return func(packet []byte) bool {
		p := gopacket.NewPacket(packet, layers.LayerTypeEthernet, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
		tcp, _ := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if tcp == nil || tcp.SrcPort != shadowPort {
			return false
		}
		if len(tcp.Payload) > 0 {
			answered[tcp.DstPort] = true
		}
		if answered[tcp.DstPort] && (tcp.FIN || tcp.RST) {
			delete(answered, tcp.DstPort)
			ended++
		}
		return ended >= n
	}
}

// limited serves so many requests, and then ends the connection by end.
func (v *verifier) limited(end func(c *lab.Conn) error) lab.Handler {
	return func(c *lab.Conn, _ <-chan struct{}) {
		if v.serveFrom(c, reader(c), keepAliveLimit) {
			_ = end(c)
		}
	}
}

// A target that ends each connection after so many requests misses none: the
// stream goes on on a new one.
func TestTargetLimitsRequestsOfAConnection(t *testing.T) {
	const size = 2 << 10
	for _, tt := range []struct {
		name string
		end  func(*lab.Conn) error
	}{
		{"closing", func(c *lab.Conn) error { return c.Close() }},
		{"half-closing, and reading on until netmirror closes", func(c *lab.Conn) error { return c.CloseWrite() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := verifier{size: size}
			s := set(t, lab.Options{}, v.limited(tt.end))
			s.politely(t, func(c *lab.Stream, id uint64) error { return c.Post(id, size) })
			s.netmirror.stop(t)
			if err := s.shadow.Wait(s.ctx, 0); err != nil {
				t.Errorf("shadow, after netmirror's end: %v", err)
			}
			came := v.came()
			for id := range uint64(keepAliveRequests) {
				if came[id] != 1 {
					v.problem("request %d came %d times", id, came[id])
				}
			}
			complain(t, v.problems)
			s.checkBooks(t)
		})
	}
}

func TestNginxLimitsRequestsOfAConnection(t *testing.T) {
	path := program(t, "nginx", "nginx")
	s := setOrigin(t, lab.Options{})
	shadow := startNginx(t, s.Dst, path, s.Shadow(shadowPort).String(),
		fmt.Sprintf("keepalive_requests %d;", keepAliveLimit), `location ~ ^/[0-9]+$ { return 204; }`)
	awaitListener(s.ctx, t, s.Mon, s.Shadow(shadowPort))
	s.startNetmirror(t)
	s.netmirror.capturing(s.ctx)
	var want []string
	s.politely(t, func(c *lab.Stream, id uint64) error {
		want = append(want, fmt.Sprintf("GET /%d 204 %d -", id, len(lab.GetHeader(id))))
		return c.Get(id)
	})
	s.netmirror.stop(t)
	slices.Sort(want)
	if got := shadow.requests(t); !slices.Equal(got, want) {
		t.Errorf("nginx logged %d requests, want %d", len(got), len(want))
	}
	s.checkBooks(t)
}

// awaitListener returns when something accepts connections.
func awaitListener(ctx context.Context, t *testing.T, from *lab.Namespace, at netip.AddrPort) {
	t.Helper()
	for {
		conn, err := from.Dial(ctx, at)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(5 * time.Millisecond): // a listener has no event
		}
	}
}
