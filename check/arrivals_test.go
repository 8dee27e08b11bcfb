package check

import (
	"strings"
	"testing"
	"time"

	"netmirror/source"
)

// The neighbor discovery of a mirror's device does not show that its filter leaves TCP out.
func TestFewPacketsWithoutTCP(t *testing.T) {
	c := testConfig([]uint32{7}, 8080)
	for n, want := range map[int]string{
		1:   "check again while clients send requests; if they do, let TCP through the mirror's filter",
		100: "let TCP through the mirror's filter",
	} {
		s := newSeen(c)
		for range n {
			s.add(encap(t, 7, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6, 0, 1}), source.Ethernet) // ARP
		}
		s.took = time.Second
		if says, first := told(t, c, s); first != want {
			t.Errorf("%d packets: the first remedy is %q, want %q; it said\n%s", n, first, want, says)
		}
	}
}

// Frames of a SPAN port come as they are, where a mirror's encapsulation is looked for.
func TestFramesAsTheyAre(t *testing.T) {
	c := testConfig([]uint32{7}, 8080)
	c.Args = []string{"--workers", "2"}
	for others, want := range map[uint64]string{
		500: "netmirror check --iface eth0 --encap none --port 8080 --workers 2",
		2:   "let UDP port 4789 in from the mirrored hosts", // which a switch has flooded
	} {
		s := newSeen(c)
		s.others = others
		if says, first := told(t, c, s); !strings.Contains(first, want) {
			t.Errorf("%d packets: the first remedy is %q, without %q; it said\n%s", others, first, want, says)
		}
	}
}
