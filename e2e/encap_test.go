package e2e

import (
	"fmt"
	"testing"

	"netmirror/e2e/lab"
)

// The kernel takes the mirror's VXLAN off, and netmirror reads the bare frames that
// its device gets, as it would those of a SPAN port.
func TestKernelUnwraps(t *testing.T) {
	for _, opts := range []lab.Options{{}, {OuterIPv6: true, BothDirections: true}} {
		for _, workers := range []int{1, 2} {
			t.Run(fmt.Sprintf("%+v, %d workers", opts, workers), func(t *testing.T) {
				s := setServices(t, opts, nil)
				link, err := s.Unwrap(42)
				if err != nil {
					t.Fatal(err)
				}
				s.netmirror = start(t, s.Mon, netmirrorPath, "--iface", link, "--encap", "none", "--port", fmt.Sprint(servicePort),
					"--to", s.Shadow(shadowPort).String(), "--workers", fmt.Sprint(workers))
				s.ready(t)
				s.run(t, connections(40, 8, 5, 20_000))
				s.compare(t)
			})
		}
	}
}
