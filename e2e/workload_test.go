package e2e

import (
	"context"
	"testing"

	"netmirror/e2e/lab"
)

// workload is something that clients do; its error is the lab's own failure.
type workload func(ctx context.Context, c lab.Client) error

// connections makes n connections, at most atOnce at a time, with requests POSTs
// of size bytes on each.
func connections(n, atOnce, requests int, size int64) workload {
	return func(ctx context.Context, c lab.Client) error {
		return lab.Each(ctx, n, atOnce, func(ctx context.Context, i int) error {
			return c.With(ctx, func(s *lab.Stream) error {
				for r := range requests {
					if err := s.Post(uint64(i)<<32|uint64(r), size); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
}

// gets makes n connections with one GET each, at most atOnce at a time.
func gets(n, atOnce int) workload {
	return func(ctx context.Context, c lab.Client) error {
		return lab.Each(ctx, n, atOnce, func(ctx context.Context, i int) error {
			return c.With(ctx, func(s *lab.Stream) error { return s.Get(uint64(i)) })
		})
	}
}

// mixed is short, long and large connections, one kind after the other.
func mixed(ctx context.Context, c lab.Client) error {
	for _, w := range []workload{
		connections(200, 1, 1, 8<<10),
		connections(8, 8, 200, 512),
		connections(8, 8, 1, 1<<20),
	} {
		if err := w(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

const mixedConnections = 216

// run plays a workload and compares what the shadow service got.
func (s *scene) run(t *testing.T, w workload) {
	t.Helper()
	if err := w(s.ctx, s.client); err != nil {
		t.Fatalf("lab: %v", err)
	}
	s.compare(t)
}

func TestWorkloads(t *testing.T) {
	for _, tt := range []struct {
		name string
		load workload
		args []string
	}{
		{"200 connections, one after another, with a POST of 8 KB each", connections(200, 1, 1, 8<<10), nil},
		{"10000 requests on 16 connections", connections(16, 16, 10_000/16, 512), nil},
		{"2000 short connections, 50 at a time", gets(2000, 50), nil},
		{"64 connections at once with 1 MB each", connections(64, 64, 1, 1<<20), nil},
		// Where both cores are taken from netmirror for a moment, this one flow
		// needs more room than its default 16 MiB, which is a quarter of a second at this rate.
		{"one stream of 256 MB", connections(1, 1, 1, 256<<20), []string{"--flow-kib", "32768"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set(t, lab.Options{}, nil, tt.args...).run(t, tt.load)
		})
	}
}

// Workers share the connections by their inner addresses and ports, whatever
// the mirror makes of the packets.
func TestWorkers(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts lab.Options
	}{
		{"both directions", lab.Options{BothDirections: true}},
		{"inner IPv6, every frame twice", lab.Options{InnerIPv6: true, Twice: true}},
		{"1500-byte mirror link, both directions", lab.Options{MirrorMTU: 1500, BothDirections: true}},
		{"inner VLAN tag, some frames late", lab.Options{VLAN: 100, LatePermille: 10}},
		{"outer IPv6", lab.Options{OuterIPv6: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set(t, tt.opts, nil, "--workers", "4").run(t, mixed)
		})
	}
}
