package sleeper

import (
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// socketPair is two connected sockets; what is sent on the second wakes a Sleeper on the first.
func socketPair(t *testing.T) (here, there int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// No packet is missed, whether it comes before a wait, during one, behind an event that was not
// asked about, or while only the time is waited for.
func TestSleeperMissesNothing(t *testing.T) {
	here, there := socketPair(t)
	s, err := New(here)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	send, sent := make(chan time.Duration), make(chan struct{})
	go func() {
		for pause := range send {
			if pause > 0 {
				time.Sleep(pause)
			}
			_, _ = unix.Write(there, []byte{1})
			sent <- struct{}{}
		}
	}()
	defer close(send)
	var buf [1]byte
	take := func() bool {
		n, err := unix.Read(here, buf[:])
		return err == nil && n == 1
	}
	never := func(bool) bool { return false }
	dice := rand.New(rand.NewPCG(1, 2))
	for i := range 5000 {
		pause := time.Duration(dice.IntN(3)) * 20 * time.Microsecond
		send <- pause
		switch dice.IntN(4) {
		case 0: // it is there before the wait
			<-sent
			sent = refill(sent)
		case 1: // only the time is waited for meanwhile
			if err := s.UntilAlarm(time.Now().Add(30*time.Microsecond), never); err != nil {
				t.Fatal(err)
			}
		case 2: // it is taken without a wait, if it came: its event is left
			if take() {
				<-sent
				continue
			}
		}
		got := false
		if err := s.UntilEvent(time.Now().Add(10*time.Second), func(bool) bool { got = got || take(); return got }); err != nil {
			t.Fatal(err)
		}
		if !got {
			t.Fatalf("packet %d woke nobody", i)
		}
		<-sent
	}
}

// refill puts back a token that was taken from c early.
func refill(c chan struct{}) chan struct{} {
	go func() { c <- struct{}{} }()
	return c
}

// A wait ends at its time, whatever came before it, and Wake and Interrupt end one.
func TestSleeperEndsItsWaits(t *testing.T) {
	here, there := socketPair(t)
	s, err := New(here)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	events := 0
	count := func(event bool) bool {
		if event {
			events++
		}
		return false
	}
	if _, err := unix.Write(there, []byte{1}); err != nil {
		t.Fatal(err)
	}
	for range 3 { // each wait is told of what nobody takes, and ends at its time
		events = 0
		if err := s.UntilEvent(time.Now().Add(5*time.Millisecond), count); err != nil {
			t.Fatal(err)
		}
		if events == 0 {
			t.Error("a wait was told nothing of a packet that is there")
		}
	}
	var buf [1]byte
	_, _ = unix.Read(here, buf[:])
	waking, stop := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(waking)
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				s.Wake()
			}
		}
	}()
	calls := 0
	if err := s.UntilEvent(time.Now().Add(10*time.Second), func(bool) bool { calls++; return calls > 1 }); err != nil || calls < 2 {
		t.Errorf("Wake has not ended a wait: %v", err)
	}
	close(stop)
	<-waking
	time.AfterFunc(time.Millisecond, s.Interrupt)
	if err := s.UntilEvent(time.Time{}, func(bool) bool { return false }); err != nil {
		t.Fatal(err)
	}
}
