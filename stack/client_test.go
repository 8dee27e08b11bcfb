package stack

import (
	"bytes"
	"flag"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"go.uber.org/goleak"
	"gvisor.dev/gvisor/pkg/refs"

	"netmirror/outcome"
)

func TestMain(m *testing.M) {
	refs.SetLeakMode(refs.LeaksPanic)
	// The race detector makes a case ten times as long: `make property` runs
	// thousands without it.
	flag.Set("rapid.checks", "300")
	flag.Parse()
	goleak.VerifyTestMain(m)
}

const testVNI, testPort = 42, 8080

// client is a model of a mirrored client: it numbers its bytes and makes the
// packets that carry them, with gopacket.
type client struct {
	t        testing.TB
	src, dst netip.AddrPort
	isn      uint32
	vni      uint32
	options  []layers.TCPOption
}

func newClient(t testing.TB, isn uint32) *client {
	return &client{
		t: t, isn: isn, vni: testVNI,
		src: netip.MustParseAddrPort("192.0.2.7:40000"),
		dst: netip.MustParseAddrPort("198.51.100.1:8080"),
	}
}

// packet makes a segment that starts off bytes into the stream.
func (c *client) packet(off int, payload []byte, set func(*layers.TCP)) Segment {
	c.t.Helper()
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(c.src.Port()), DstPort: layers.TCPPort(c.dst.Port()),
		Seq: c.isn + 1 + uint32(off), Ack: 1000, ACK: true, Window: 502, Options: c.options,
	}
	if set != nil {
		set(tcp)
	}
	var ip gopacket.SerializableLayer
	if c.src.Addr().Is6() {
		l := &layers.IPv6{Version: 6, NextHeader: layers.IPProtocolTCP, HopLimit: 60,
			SrcIP: c.src.Addr().AsSlice(), DstIP: c.dst.Addr().AsSlice()}
		if err := tcp.SetNetworkLayerForChecksum(l); err != nil {
			c.t.Fatal(err)
		}
		ip = l
	} else {
		l := &layers.IPv4{Version: 4, Protocol: layers.IPProtocolTCP, TTL: 60,
			SrcIP: c.src.Addr().AsSlice(), DstIP: c.dst.Addr().AsSlice()}
		if err := tcp.SetNetworkLayerForChecksum(l); err != nil {
			c.t.Fatal(err)
		}
		ip = l
	}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, ip, tcp, gopacket.Payload(payload)); err != nil {
		c.t.Fatal(err)
	}
	off = 20
	if c.src.Addr().Is6() {
		off = 40
	}
	return Segment{VNI: c.vni, IP: bytes.Clone(buf.Bytes()), TCP: off}
}

func (c *client) syn() Segment {
	return c.packet(-1, nil, func(t *layers.TCP) {
		t.SYN, t.ACK, t.Ack = true, false, 0
		t.Options = []layers.TCPOption{
			{OptionType: layers.TCPOptionKindMSS, OptionData: []byte{5, 0xb4}},
			{OptionType: layers.TCPOptionKindWindowScale, OptionData: []byte{7}},
			{OptionType: layers.TCPOptionKindTimestamps, OptionData: make([]byte, 8)},
		}
	})
}

func (c *client) ack(off int) Segment { return c.packet(off, nil, nil) }

func (c *client) data(off int, payload []byte) Segment { return c.packet(off, payload, nil) }

func (c *client) fin(off int) Segment {
	return c.packet(off, nil, func(t *layers.TCP) { t.FIN = true })
}

func (c *client) rst(off int) Segment {
	return c.packet(off, nil, func(t *layers.TCP) { t.RST = true })
}

// opening is the whole handshake.
func (c *client) opening() []Segment { return []Segment{c.syn(), c.ack(0)} }

// stream cuts b into segments of size bytes.
func (c *client) stream(off int, b []byte, size int) []Segment {
	var segs []Segment
	for len(b) > 0 {
		n := min(size, len(b))
		segs = append(segs, c.data(off, b[:n]))
		off, b = off+n, b[n:]
	}
	return segs
}

func newTestStack(t *testing.T, set func(*Config)) *Stack {
	t.Helper()
	cfg := Config{Port: testPort, VNIs: []uint32{testVNI}}
	if set != nil {
		set(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		checkIdentity(t, s)
		refs.DoLeakCheck()
	})
	return s
}

// noLeaks waits until gVisor, which cleans up in goroutines of its own, holds
// nothing of ours any more. No stack may be open.
func noLeaks(t *testing.T) {
	t.Helper()
	leaks := func() (what any) {
		defer func() { what = recover() }()
		refs.DoRepeatedLeakCheck()
		return nil
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		what := leaks()
		if what == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// checkIdentity checks that every packet and byte is accounted for.
func checkIdentity(t *testing.T, s *Stack) {
	t.Helper()
	st := s.Stats()
	packets, payload := st.Used+st.Held, st.BytesRead+st.BytesHeld
	for d := range outcome.NumDrops {
		packets += st.Dropped[d]
		payload += st.DroppedBytes[d]
	}
	if packets != st.Packets || payload != st.Bytes {
		t.Errorf("%d packets and %d bytes came in, %d and %d are accounted for: %+v", st.Packets, st.Bytes, packets, payload, st)
	}
}

// accept takes the next stream, within a time limit.
func accept(t *testing.T, s *Stack) *Conn {
	t.Helper()
	timer := time.AfterFunc(10*time.Second, s.accepted.close)
	defer timer.Stop()
	c, err := s.Accept()
	if err != nil {
		t.Fatalf("no stream within 10 s: %v; %+v", err, s.Stats())
	}
	return c.(*Conn)
}

// readAll reads c to its end, within a time limit.
func readAll(t *testing.T, c *Conn) ([]byte, error) {
	t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { c.Close() })
	defer timer.Stop()
	b, err := io.ReadAll(c)
	c.Close()
	return b, err
}

// pattern is n bytes of which no two nearby runs are alike.
func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}
