package e2e

import (
	"fmt"
	"testing"

	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"

	"netmirror/e2e/lab"
)

// rawClient is a crafted client whose kernel sends its segments, over the mirrored
// link. Its address is not the kernel's own, so that no answer reaches it.
type rawClient struct {
	*crafted
	fd int
}

// raw returns the n-th such client.
func (s *scene) raw(t testing.TB, n uint32) *rawClient {
	t.Helper()
	c := &rawClient{crafted: craftOn(t, nil, s.Origin(servicePort), n)}
	err := s.Cli.Do(func() (err error) {
		if c.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP); err != nil {
			return err
		}
		t.Cleanup(func() { unix.Close(c.fd) })
		if err := unix.SetsockoptInt(c.fd, unix.IPPROTO_IP, unix.IP_TRANSPARENT, 1); err != nil {
			return err
		}
		// What is longer than the link takes goes in fragments.
		if err := unix.SetsockoptInt(c.fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT); err != nil {
			return err
		}
		return unix.Bind(c.fd, &unix.SockaddrInet4{Addr: c.src.Addr().As4()})
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// segment sends a segment at the client's place in its stream.
func (c *rawClient) segment(flags layers.TCP, payload []byte) {
	c.t.Helper()
	p := c.packet(flags, payload, rightSum)[innerHeaders:] // the kernel makes those before
	p = p[:int(p[12]>>4)*4+len(payload)]                   // without Ethernet's padding
	if err := unix.Sendto(c.fd, p, 0, &unix.SockaddrInet4{Addr: c.dst.Addr().As4()}); err != nil {
		c.t.Fatal(err)
	}
	c.seq += uint32(len(payload))
	if flags.SYN || flags.FIN {
		c.seq++
	}
}

// A client's kernel sends its packets in fragments: a tunnel or an old router is on
// the way.
func TestFragmentedInside(t *testing.T) {
	const flows = 20
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			s := set(t, lab.Options{}, lab.Swallow, "--workers", fmt.Sprint(workers))
			var want []lab.Record
			for n := range uint32(flows) {
				c := s.raw(t, n)
				c.segment(layers.TCP{SYN: true}, nil)
				c.segment(layers.TCP{ACK: true}, nil)
				stream := body(uint64(n), 40_000)
				for rest, size := stream, 1; len(rest) > 0; size = size%9000*3 + 1 {
					part := rest[:min(size, len(rest))]
					c.segment(layers.TCP{ACK: true}, part)
					rest = rest[len(part):]
				}
				c.segment(layers.TCP{ACK: true, FIN: true}, nil)
				want = append(want, lab.RecordOf(c.src, stream, lab.EOF))
			}
			s.compareWith(t, want)
			b := s.netmirror.final(t)
			if b["fragments_merged"] < flows*10 || b.sum("drop_inner_fragment") != 0 {
				t.Errorf("these figures are not of fragments that were joined: %v", b)
			}
		})
	}
}

// Fragments that do not make a packet end the stream that they are of, and are
// counted by why.
func TestFragmentsThatNeverBecomeWhole(t *testing.T) {
	const size = 1000
	for _, tt := range []struct {
		name   string
		offset int // of the second fragment; the first is 800 bytes long
		second bool
		why    string
		n      int64
	}{
		{"the second is lost", 0, false, "drop_inner_fragment_timeout", 1},
		{"they overlap", 792, true, "drop_inner_fragment_overlap", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := set(t, lab.Options{}, lab.Swallow)
			c := s.craft(t, 1)
			c.open()
			first := body(1, size)
			c.send(first, rightSum)
			p := c.packet(layers.TCP{ACK: true}, body(2, size), rightSum)
			c.write(fragmentOf(p, 0, 800, true))
			if tt.second {
				c.write(fragmentOf(p, tt.offset, len(p)-innerHeaders, false))
			}
			c.seq += size
			c.send([]byte("behind it"), rightSum)
			c.close()
			s.compareWith(t, []lab.Record{lab.RecordOf(c.src, first, lab.Reset)})
			b := s.netmirror.final(t)
			if b[tt.why] != tt.n || b.sum("drop_inner_fragment") != tt.n || b["end_gap"] != 1 {
				t.Errorf("want %d by %s only: %v", tt.n, tt.why, b)
			}
		})
	}
}

// innerHeaders are the bytes before a segment in a VXLAN payload.
const innerHeaders = 8 + 14 + 20

// fragmentOf is the fragment of a VXLAN payload's packet that has the bytes from
// from to to behind its IPv4 header.
func fragmentOf(p []byte, from, to int, more bool) []byte {
	f := append([]byte(nil), p[:innerHeaders]...)
	f = append(f, p[innerHeaders+from:innerHeaders+min(to, len(p)-innerHeaders)]...)
	ip := f[innerHeaders-20:]
	ip[2], ip[3] = byte(len(ip)>>8), byte(len(ip))
	ip[4], ip[5] = 0x12, 0x34
	ip[6], ip[7] = byte(from/8>>8), byte(from/8)
	if more {
		ip[6] |= 0x20
	}
	return f
}
