package replay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"netmirror/service"
	"netmirror/source"
	"netmirror/status"
	"netmirror/wire"
)

func TestWhatACaptureHolds(t *testing.T) {
	request := plainFrame(t, 8080, "GET / HTTP/1.1\r\n\r\n")
	other := plainFrame(t, 443, "x")
	few := func(frames ...[]byte) [][]byte { return slices.Repeat(frames, 3) }
	for _, c := range []struct {
		name   string
		frames [][]byte
		port   uint16 // of the mirror, as the user gives it
		mirror bool
		vnis   []uint32
	}{
		{"a host's packets", few(request, other), 0, false, []uint32{0}},
		{"a mirror's", few(mirrored(t, 42, 4789, request)), 0, true, []uint32{42}},
		{"a mirror's of two networks, in the order of their numbers", few(mirrored(t, 9, 4789, request), mirrored(t, 7, 4789, request)), 0, true, []uint32{7, 9}},
		{"only networks with the service", few(mirrored(t, 9, 4789, request), mirrored(t, 7, 4789, other)), 0, true, []uint32{9}},
		{"a mirror's to Linux's old port", few(mirrored(t, 5, 8472, request)), 0, true, []uint32{5}},
		{"a mirror's to a port that is given", few(mirrored(t, 5, 7000, request)), 7000, true, []uint32{5}},
		{"a mirror's to another port than is given", few(mirrored(t, 5, 4789, request)), 7000, false, []uint32{0}},
		{"a collector's: the mirror's, and some of its own", append(few(mirrored(t, 42, 4789, request)), request), 0, true, []uint32{42}},
		{"a host's with an overlay network for other services", append(few(mirrored(t, 42, 4789, other)), request), 0, false, []uint32{0}},
		{"nothing of the service", few(other), 0, false, []uint32{0}},
		{"GRE with a key that is no network's", few(inGRE(t, 1<<24, request)), 0, true, nil},
		{"GRE with such a key, and with another", few(inGRE(t, 1<<24, request), inGRE(t, 5, request)), 0, true, []uint32{5}},
		{"a mirror's, and nothing of the service", few(mirrored(t, 9, 4789, other), mirrored(t, 7, 4789, other), other), 0, true, []uint32{7, 9}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Open(t.Context(), Config{Paths: []string{capture(t, time.Millisecond, c.frames...)}, Ports: service.PortsOf(8080), Mirror: through(c.port)})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			k := s.Kind()
			if k.Mirror.Bare() == c.mirror || !slices.Equal(k.VNIs, c.vnis) {
				t.Errorf("%+v; want mirror %v, VNIs %v", k, c.mirror, c.vnis)
			}
		})
	}
}

// through is a mirror that comes to a port, 0: in any way.
func through(port uint16) wire.Mirror {
	if port == 0 {
		return wire.Mirror{}
	}
	return wire.Mirror{Ports: []uint16{port}}
}

// frames reads a source to its end.
func frames(t *testing.T, s *Source) (all []string, times []time.Time) {
	t.Helper()
	for {
		batch, err := s.Next()
		if err != nil {
			if err != io.EOF {
				t.Fatal(err)
			}
			return all, times
		}
		times = append(times, s.BatchTime())
		for _, f := range batch {
			all = append(all, string(f))
		}
	}
}

// What was looked at to find out what a pipe holds is played like all else.
func TestNothingIsLostByLooking(t *testing.T) {
	var want []string
	var all [][]byte
	for i := range 3000 {
		f := plainFrame(t, 8080, string(rune('a'+i%26)))
		all, want = append(all, f), append(want, string(f))
	}
	path := capture(t, 300*time.Microsecond, all...)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Config{Paths: []string{"-"}, Stdin: bytes.NewReader(file), Ports: service.PortsOf(8080)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, times := frames(t, s)
	if !slices.Equal(got, want) {
		t.Errorf("%d frames, want the %d of the file in order", len(got), len(want))
	}
	if !times[0].Equal(zero) || !slices.IsSortedFunc(times, time.Time.Compare) {
		t.Errorf("times begin at %v, want %v, and must not go back", times[0], zero)
	}
	if st := s.Stats(); st.Frames != 3000 || st.Packets != 3000 || s.Fault() != nil {
		t.Errorf("%+v, %v", st, s.Fault())
	}
}

// A network that the first packets do not show is not played, and told of.
func TestUnknownNetworks(t *testing.T) {
	request := plainFrame(t, 8080, "GET / HTTP/1.1\r\n\r\n")
	all := slices.Repeat([][]byte{mirrored(t, 1, 4789, request)}, 2000)
	all = append(all, mirrored(t, 2, 4789, request), mirrored(t, 3, 4789, plainFrame(t, 443, "x")))
	s, err := Open(t.Context(), Config{Paths: []string{capture(t, 100*time.Microsecond, all...)}, Ports: service.PortsOf(8080)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	frames(t, s)
	if n := s.Unknown(); n != 1 {
		t.Errorf("%d packets of networks that were not shown, want 1", n)
	}
}

// A pipe that brings nothing holds nobody who wants to end.
func TestSilentPipe(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	if _, err := Open(ctx, Config{Paths: []string{"-"}, Stdin: r, Ports: service.PortsOf(8080)}); !errors.Is(err, context.Canceled) {
		t.Errorf("opened: %v", err)
	}
	file, err := os.ReadFile(capture(t, time.Millisecond, slices.Repeat([][]byte{plainFrame(t, 8080, "a")}, 20)...))
	if err != nil {
		t.Fatal(err)
	}
	r, w = io.Pipe()
	defer w.Close()
	go w.Write(file)
	s, err := Open(t.Context(), Config{Paths: []string{"-"}, Stdin: r, Ports: service.PortsOf(8080)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	time.AfterFunc(time.Millisecond, s.Stop)
	frames(t, s)
	if s.Fault() != nil {
		t.Errorf("stopped: %v", s.Fault())
	}
}

// A batch is done with when the next one is asked for.
func TestCaughtUp(t *testing.T) {
	s, err := Open(t.Context(), Config{Paths: []string{capture(t, time.Second, plainFrame(t, 8080, "a"), plainFrame(t, 8080, "b"))}, Ports: service.PortsOf(8080)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var got []time.Duration
	for range 3 {
		_, _ = s.Next() // the last is the end
		got = append(got, s.CaughtUp(zero.Add(time.Hour)).Sub(zero))
	}
	if got[1] != 0 || got[2] != time.Hour {
		t.Errorf("caught up to %v, want the first packet's time while the second is at work, and all at the end", got)
	}
	if s.Clock() != source.Stamps || s.Start() != source.Ethernet {
		t.Errorf("clock %v, start %v", s.Clock(), s.Start())
	}
}

func TestFaultIsToldAtTheEnd(t *testing.T) {
	path := capture(t, time.Millisecond, plainFrame(t, 8080, "a"), plainFrame(t, 8080, "b"))
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Config{Paths: []string{"-"}, Stdin: bytes.NewReader(file[:len(file)-1]), Ports: service.PortsOf(8080)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if all, _ := frames(t, s); len(all) != 1 {
		t.Errorf("%d frames, want the one that is whole", len(all))
	}
	if !errors.Is(s.Fault(), io.ErrUnexpectedEOF) {
		t.Errorf("fault %v", s.Fault())
	}
}

// Stop ends a wait for what is due in years.
func TestStop(t *testing.T) {
	s, err := Open(t.Context(), Config{Paths: []string{capture(t, 1000*time.Hour, plainFrame(t, 8080, "a"), plainFrame(t, 8080, "b"))}, Ports: service.PortsOf(8080), Speed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	go s.Stop()
	if _, err := s.Next(); err != io.EOF {
		t.Errorf("%v, want EOF", err)
	}
}

// A pause is kept while something is to be delivered, and no longer.
func TestPause(t *testing.T) {
	looks := 0
	th := throttle{Backlog: Backlog{Load: func() Load { looks++; return Load{Ending: max(3-looks, 0), Held: int64(max(5-looks, 0))} }}}
	if err := th.pause(t.Context(), time.Hour); err != nil || looks != 5 {
		t.Errorf("%d looks, %v; want 5", looks, err)
	}
	looks = -1 << 40
	if err := th.pause(t.Context(), pauseLeast); err != nil {
		t.Errorf("a pause that is over: %v", err)
	}
}

// A throttle waits while the target takes what is held, and not for what only the
// file's time can settle.
func TestThrottle(t *testing.T) {
	frame := [][]byte{make([]byte, 1000)}
	for _, c := range []struct {
		name    string
		load    func(look int) Load
		waiting Waiting
		looks   int // at least
	}{
		{"nothing held", func(int) Load { return Load{} }, Waiting{}, 1},
		{"a target that takes its time", func(n int) Load { return Load{Held: 8000 - int64(n)*500, Done: uint64(n)} }, Waiting{Target: 8000}, 2},
		{"a missing packet", func(int) Load { return Load{Held: 8000} }, Waiting{}, 10},
		{"as many connections as there may be, in the file too", func(int) Load { return Load{Conns: 80} }, Waiting{Alive: 80}, 10},
		{"connections whose targets linger", func(n int) Load { return Load{Conns: max(80-n, 60)} }, Waiting{Alive: 0}, 10},
	} {
		looks := 0
		var th throttle
		th.Backlog = Backlog{
			Load:    func() Load { looks++; return c.load(looks) },
			Waiting: func() Waiting { return c.waiting }, MaxHeld: 8000, MaxConns: 80,
		}
		if err := th.wait(t.Context(), frame); err != nil {
			t.Fatal(err)
		}
		if looks < c.looks {
			t.Errorf("%s: went on after %d looks, want %d", c.name, looks, c.looks)
		}
	}
}

func TestThrottleIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	th := throttle{Backlog: Backlog{
		Load: func() Load { cancel(); return Load{Held: 100} }, Waiting: func() Waiting { return Waiting{Target: 100} }, MaxHeld: 100, MaxConns: 1,
	}}
	if err := th.wait(ctx, [][]byte{{1}}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Of a host's packets and a mirror's, those of the other kind are told of. A host's are not
// played with a mirror's. It is no failure to play a mirror's with a host's.
func TestPacketsOfTheOtherKind(t *testing.T) {
	request, other := plainFrame(t, 8080, "GET / HTTP/1.1\r\n\r\n"), plainFrame(t, 443, "x")
	wrapped, otherWrapped := mirrored(t, 42, 4789, request), mirrored(t, 42, 4789, other)
	several := func(n int, frame []byte) [][]byte { return slices.Repeat([][]byte{frame}, n) }
	all := func(parts ...[][]byte) [][]byte { return slices.Concat(parts...) }
	for _, c := range []struct {
		name   string
		frames [][]byte
		config Config
		want   uint64
		says   string
	}{
		{"a mirror's first", all(several(2000, wrapped), several(7, request), several(3, other)), Config{}, 7, "  7 packets are a host's, and were not read"},
		{"a mirror's first, with services of their own networks", all(several(2000, wrapped), several(7, request)), Config{EveryVNI: true}, 7, "  7 packets are a host's"},
		{"a host's first", all(several(2000, request), several(5, wrapped), several(3, otherWrapped)), Config{}, 5, "perhaps by mistake:\n  5 packets are wrapped as a mirror's are"},
		{"the user names the network", all(several(9, wrapped), several(7, request)), Config{VNIs: []uint32{42}}, 0, ""},
		{"the user says that they are a host's", all(several(9, request), several(7, wrapped)), Config{Mirror: bare().Mirror}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.config.Paths, c.config.Ports = []string{capture(t, 100*time.Microsecond, c.frames...)}, service.PortsOf(8080)
			s, err := Open(t.Context(), c.config)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			frames(t, s)
			f := s.Figures(&status.Snapshot{}, time.Time{})
			var b bytes.Buffer
			if err := f.Write(&b); err != nil {
				t.Fatal(err)
			}
			if got := s.OtherKind(); got != c.want || !strings.Contains(b.String(), c.says) || (f.Status() == StatusFailed) != strings.Contains(c.says, "host's") {
				t.Errorf("%d packets, want %d; status %d, and:\n%s", got, c.want, f.Status(), &b)
			}
		})
	}
}
