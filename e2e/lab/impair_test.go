package lab

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"
)

func TestLabLate(t *testing.T) {
	_, segments := traffic(t, Options{LatePermille: 10})
	late, furthest, ahead := 0, 0, 0
	// The IPv4 identification counts up with each segment of a connection.
	var ids []uint16
	for _, c := range segments {
		ids = append(ids, c.ip.(*layers.IPv4).Id)
	}
	for i, id := range ids {
		ahead = 0
		for _, before := range ids[:i] {
			if int16(before-id) > 0 {
				ahead++
			}
		}
		if ahead > 0 {
			late++
			furthest = max(furthest, ahead)
		}
	}
	t.Logf("of %d frames %d came late, the furthest by %d places", len(ids), late, furthest)
	// One in a hundred is chosen, and one in four of them passes at once.
	if late < len(ids)/300 || furthest < 100 {
		t.Errorf("of %d frames %d came late, the furthest by %d places", len(ids), late, furthest)
	}
}

func TestLabLoss(t *testing.T) {
	traffic(t, Options{LossPermille: 10}) // fails if nothing is lost
}

func TestLabLosesEveryNth(t *testing.T) {
	const every, sent = 10, 100
	ctx := deadline(t)
	l := build(t, Options{LossEvery: every})
	sniffer, err := l.Mon.Sniff(MirrorLink, Incoming)
	if err != nil {
		t.Fatal(err)
	}
	defer sniffer.Close()
	conn, err := l.Srv.DialUDP(netip.AddrPortFrom(l.Tap().Addr(), 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range byte(sent) {
		for {
			_, err := conn.Write([]byte{'n', i})
			if err == nil {
				break
			}
			if !errors.Is(err, unix.ECONNREFUSED) { // the answer to an earlier one
				t.Fatal(err)
			}
		}
	}
	came := 0
	if err := sniffer.Wait(ctx, func(packet []byte) bool {
		end := packet[len(packet)-2:]
		if end[0] != 'n' {
			return false
		}
		came++
		// Another frame of the kernel's may have been among those counted.
		if before := int(end[1]) + 1; (before-came)*every > before+every || (before-came)*every < before-2*every {
			t.Errorf("of the first %d came %d, want all but every %dth", before, came, every)
		}
		return came == sent*(every-1)/every
	}); err != nil {
		t.Fatalf("%d of %d came: %v", came, sent, err)
	}
}
