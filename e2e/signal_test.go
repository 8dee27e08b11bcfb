package e2e

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// gate is a handler that reads nothing until the gate is opened.
func gate(open <-chan struct{}) lab.Handler {
	return func(_ *lab.Conn, done <-chan struct{}) {
		select {
		case <-open:
		case <-done:
		}
	}
}

// fins returns a function that counts the mirrored FINs to the service and says
// whether it has seen n.
func fins(n int) func(packet []byte) bool {
	return func(packet []byte) bool {
		if seg, ok := lab.Mirrored(packet); ok && seg.FIN && seg.Dst.Port() == servicePort {
			n--
		}
		return n <= 0
	}
}

func TestSIGTERMForwardsWhatWasCaptured(t *testing.T) {
	const n = 16
	open := make(chan struct{})
	s := set(t, lab.Options{}, gate(open))
	sniffer, err := s.Mon.Sniff(lab.MirrorLink, lab.Incoming)
	if err != nil {
		t.Fatal(err)
	}
	defer sniffer.Close()
	// More than the sockets hold, so that much of it is still in netmirror.
	if err := connections(n, n, 1, 1<<20)(s.ctx, s.client); err != nil {
		t.Fatal(err)
	}
	if err := sniffer.Wait(s.ctx, fins(n)); err != nil {
		t.Fatal(err)
	}
	s.netmirror.terminate(t)
	close(open)
	s.compare(t)
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	s := set(t, lab.Options{}, gate(nil), "--shutdown-timeout", "60s")
	if err := connections(4, 4, 1, 8<<20)(s.ctx, s.client); err != nil {
		t.Fatal(err)
	}
	if err := s.shadow.WaitAccepted(s.ctx, 1+4); err != nil {
		t.Fatal(err)
	}
	p := s.netmirror
	for range 2 { // as timeout(1) does, which signals the process and its group
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	select {
	case <-p.done:
		t.Fatalf("two signals in a row ended it, %v, with streams that the target had not taken", p.cmd.ProcessState)
	case <-time.After(300 * time.Millisecond):
	}
	ctx, cancel := context.WithTimeout(s.ctx, 3*time.Second)
	defer cancel()
	if err := signalUntilGone(ctx, p, os.Interrupt); err != nil {
		t.Error("netmirror outlived the second signal")
	}
}

// signalUntilGone repeats the signal: one that comes while the process is
// between two ways of handling it may be lost.
func signalUntilGone(ctx context.Context, p *process, sig os.Signal) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		p.cmd.Process.Signal(sig)
		select {
		case <-p.done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
