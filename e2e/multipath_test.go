package e2e

import (
	"context"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"netmirror/e2e/lab"
)

// The streams of the kernel's own MPTCP (RFC 8684) arrive once each, complete,
// whether they run over one TCP connection or over two.
func TestMultipath(t *testing.T) {
	t.Parallel()
	const conns, size = 4, 3 << 20 // 12 MB together
	const maxRounds = 10
	for _, tt := range []struct {
		name string
		join func(*lab.Lab) (netip.Addr, error) // nil: one subflow
	}{
		{"one subflow", nil},
		{"two addresses of the client", (*lab.Lab).JoinFromClient},
		{"two addresses of the server", (*lab.Lab).JoinToServer},
	} {
		for _, mirror := range []struct {
			name string
			opts lab.Options
			args []string
		}{
			{"one direction", lab.Options{}, nil},
			{"both directions", lab.Options{BothDirections: true}, nil},
			{"two workers", lab.Options{BothDirections: true}, []string{"--workers", "2"}},
		} {
			t.Run(tt.name+", "+mirror.name, func(t *testing.T) {
				s := setMultipath(t, mirror.opts, mirror.args...)
				var second netip.Addr
				if tt.join != nil {
					var err error
					if second, err = tt.join(s.Lab); err != nil {
						t.Fatal(err)
					}
				}
				// The kernel chooses the path: again, until the second one had its share.
				var sent []lab.Record
				shared := int64(0)
				for len(sent) == 0 || tt.join != nil && shared < size && len(sent) < maxRounds*conns {
					sniffer, err := s.Srv.Sniff(lab.ClientLink, lab.Incoming)
					if err != nil {
						t.Fatal(err)
					}
					records, err := multipathLoad(s.ctx, s.client, len(sent), conns, size)
					if err != nil {
						t.Fatalf("lab: %v", err)
					}
					sent = append(sent, records...)
					if err := sniffer.Close(); err != nil {
						t.Fatal(err)
					}
					shared += payloadOf(sniffer.Packets(), second)
				}
				if tt.join != nil && shared < size {
					t.Errorf("%d bytes went over the second address: this run proves nothing", shared)
				}
				s.compareWith(t, sent)
				if n := s.netmirror.final(t)["end_complete"]; int(n) != len(sent) {
					t.Errorf("%d streams are complete, want %d", n, len(sent))
				}
			})
		}
	}
}

// setMultipath is set with clients that speak MPTCP. The service listens on all
// of its addresses.
func setMultipath(t *testing.T, opts lab.Options, args ...string) *scene {
	t.Helper()
	s := &scene{Lab: buildLab(t, opts), ctx: deadline(t)}
	s.client = s.ClientOf(servicePort)
	s.client.Multipath = true
	var err error
	if s.origin, err = s.Srv.Serve(netip.AddrPortFrom(netip.IPv4Unspecified(), servicePort), lab.AnswerHTTP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.origin.Close)
	s.serveShadow(t, behindFirst(lab.AnswerHTTP))
	s.startNetmirror(t, args...)
	s.ready(t)
	return s
}

// multipathLoad has each connection make a small request, upon whose answer the
// second subflow is there or soon will be, then a large one, and a last one. It
// returns what they sent; first is the number of the first connection.
func multipathLoad(ctx context.Context, c lab.Client, first, conns int, size int64) ([]lab.Record, error) {
	sizes := []int64{100, 200, size, 300}
	id := func(i, r int) uint64 { return uint64(first+i)<<32 | uint64(r) }
	err := lab.Each(ctx, conns, conns, func(ctx context.Context, i int) error {
		return c.With(ctx, func(s *lab.Stream) error {
			for r, n := range sizes {
				if err := s.Post(id(i, r), n); err != nil {
					return err
				}
			}
			return nil
		})
	})
	records := make([]lab.Record, conns)
	for i := range records {
		var stream []byte
		for r, n := range sizes {
			stream = append(stream, lab.PostHeader(id(i, r), n)...)
			body := make([]byte, n)
			_, _ = lab.Body(id(i, r)).Read(body) // never fails
			stream = append(stream, body...)
		}
		records[i] = lab.RecordOf(netip.AddrPort{}, stream, lab.EOF)
	}
	return records, err
}

// payloadOf is the TCP payload, in bytes, of the packets from or to an address.
func payloadOf(packets [][]byte, a netip.Addr) (n int64) {
	for _, b := range packets {
		p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
		ip, _ := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		tcp, _ := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if ip != nil && tcp != nil && (ip.SrcIP.Equal(a.AsSlice()) || ip.DstIP.Equal(a.AsSlice())) {
			n += int64(len(tcp.Payload))
		}
	}
	return n
}
