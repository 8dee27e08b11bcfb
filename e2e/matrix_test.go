package e2e

import (
	"testing"

	"netmirror/e2e/lab"
)

// shapes are the kinds of mirror traffic there are.
var shapes = []struct {
	name string
	opts lab.Options
}{
	{"inner IPv4", lab.Options{}},
	{"inner IPv6", lab.Options{InnerIPv6: true}},
	{"outer IPv6", lab.Options{OuterIPv6: true}},
	{"inner VLAN tag", lab.Options{VLAN: 100}},
	{"MTU 9000 inside", lab.Options{ClientMTU: 9000, MirrorMTU: 9100}},
	{"offloaded super-frames", lab.Options{Offloads: true}},
	{"1500-byte mirror link", lab.Options{MirrorMTU: 1500}},
	{"both directions", lab.Options{BothDirections: true}},
}

func TestMirrors(t *testing.T) {
	t.Parallel()
	const late = 10 // ‰, by hundreds of places
	for _, shape := range shapes {
		for _, tt := range []struct {
			name  string
			twice bool
			late  int
		}{
			{shape.name, false, 0},
			{shape.name + ", every frame twice", true, 0},
			{shape.name + ", some frames late", false, late},
			{shape.name + ", every frame twice and some late", true, late},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				opts := shape.opts
				opts.Twice, opts.LatePermille = tt.twice, tt.late
				set(t, opts, nil).run(t, mixed)
			})
		}
	}
}
