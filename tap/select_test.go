package tap

import (
	"bytes"
	"testing"
	"time"

	"netmirror/service"
)

// While the selection changes, over and over, not one packet is missed that is of it
// before and afterwards; and the one in force at last is right.
func TestSelectMissesNothing(t *testing.T) {
	for _, n := range []int{1, 2} {
		l := newLab(t, 1500)
		first := service.Selection{VNIs: service.VNIsOf(ourVNI), Ports: service.PortsOf(ourPort)}
		both := service.Union(first, service.Selection{VNIs: service.VNIsOf(7), Ports: service.PortsOf(443)})
		rings := l.openGroup(t, Config{VNIs: first.VNIs, InnerPorts: first.Ports}, n)
		fd := l.sender(t)
		frame := func(vni, port int) []byte {
			return outerLayouts()[0].wrap(t, vni, innerLayouts(t, 50000, port)[0].frame...)
		}
		ours, other := frame(ourVNI, ourPort), frame(7, 443)
		selected := func(s service.Selection) {
			for _, r := range rings {
				must(t, r.Select(s))
			}
		}
		stop := sending(t, fd, ours, 20*time.Microsecond)
		for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
			selected(both)
			selected(first)
		}
		sent := stop()
		send(t, fd, other)
		selected(both)
		send(t, fd, other, other)
		capturedByAll(t, rings, sent+2)
		for _, r := range rings {
			r.Stop()
		}
		ofOurs, ofOther := 0, 0
		for _, frames := range drainGroup(t, rings) {
			for _, f := range frames {
				if bytes.Equal(f, ours) {
					ofOurs++
				} else if bytes.Equal(f, other) {
					ofOther++
				}
			}
		}
		if uint64(ofOurs) != sent || sent < 100 || ofOther != 2 {
			t.Errorf("%d rings: %d of %d packets captured, and %d of another service, want 2", n, ofOurs, sent, ofOther)
		}
		must(t, rings[0].Select(first)) // nothing, as it is stopped
		send(t, fd, ours)
		if frames, err := rings[0].Next(); err == nil {
			t.Errorf("%d frames from a ring that was stopped", len(frames))
		}
	}
}
