package udp

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"netmirror/service"
)

// While the selection changes, over and over, not one datagram is missed that is of it
// before and afterwards; and the one in force at last is right.
func TestSelectMissesNothing(t *testing.T) {
	first := service.Selection{VNIs: service.VNIsOf(ourVNI), Ports: service.PortsOf(ourPort)}
	both := service.Union(first, service.Selection{VNIs: service.VNIsOf(7), Ports: service.PortsOf(443)})
	for _, n := range []int{1, 3} {
		all := open(t, Config{VNIs: first.VNIs, InnerPorts: first.Ports}, n)
		selected := func(s service.Selection) {
			for _, r := range all {
				must(t, r.Select(s))
			}
		}
		c := sender(t, all[0], to4)
		ours, other := mirrored(t, ourVNI, 1, false, ourPort), mirrored(t, 7, 2, false, 443)
		var ended atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			for !ended.Load() {
				selected(both)
				selected(first)
			}
		}()
		const sent = 5000
		for range sent {
			send(t, c, ours)
			time.Sleep(10 * time.Microsecond) // a rate: the buffer holds all
		}
		ended.Store(true)
		<-done
		send(t, c, other)
		selected(both)
		send(t, c, other, other)
		ofOurs, ofOther := 0, 0
		for _, r := range all {
			for _, d := range rest(t, r) {
				if bytes.Equal(d, ours) {
					ofOurs++
				} else if bytes.Equal(d, other) {
					ofOther++
				}
			}
			if s := r.Stats(); s.Drops != 0 {
				t.Errorf("%d drops", s.Drops)
			}
		}
		if ofOurs != sent || ofOther != 2 {
			t.Errorf("%d receivers: %d of %d datagrams received, and %d of another service, want 2", n, ofOurs, sent, ofOther)
		}
	}
}
