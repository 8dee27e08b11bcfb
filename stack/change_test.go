package stack

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"netmirror/outcome"
	"netmirror/service"
)

// to is segments for a service.
func to(id service.ID, segs ...Segment) []Segment {
	for i := range segs {
		segs[i].Service = id
	}
	return segs
}

// A service that is added gets streams; one that ends gives each what its client has
// sent, and takes no more; the others lose nothing. Its number begins anew afterwards.
func TestServicesComeAndGo(t *testing.T) {
	const n = len(get1)
	s := newTestStack(t, nil)
	c := newClient(t, 1)
	s.SetService(1, Service{Midstream: MidstreamOff})
	segs := func() []Segment { return append(c.opening(), c.data(0, []byte(get1))) }
	s.Inject(to(0, segs()...))
	stays := accept(t, s)
	s.Inject(to(1, segs()...))
	goes := accept(t, s)
	if stays.Service() != 0 || goes.Service() != 1 {
		t.Fatalf("streams of the services %d and %d", stays.Service(), goes.Service())
	}

	s.EndService(1)
	s.Inject(to(1, c.data(n, []byte(get2))))
	s.Inject(to(0, c.data(n, []byte(get2)), c.fin(2*n)))
	got, err := io.ReadAll(goes)
	if string(got) != get1 || !errors.Is(err, outcome.EndShutdown) {
		t.Errorf("%q, %v", got, err)
	}
	if s.ReleaseService(1) {
		t.Error("the service is forgotten while a stream of it has its reader")
	}
	goes.CloseWith(outcome.EndShutdown)
	if st := s.Stats(); st.Dropped[outcome.DropShutdown] != 1 || st.DroppedBytes[outcome.DropShutdown] != uint64(n) {
		t.Errorf("%d packets dropped", st.Dropped[outcome.DropShutdown])
	}
	if !s.ReleaseService(1) {
		t.Error("the service is not forgotten")
	}
	if gone := s.PastServices(); gone.Bytes != uint64(n) || gone.Lost[outcome.DropShutdown] != uint64(n) {
		t.Errorf("of the service that is gone, %d bytes came, and %d were lost to its end", gone.Bytes, gone.Lost[outcome.DropShutdown])
	}
	if got, err := readAll(t, stays); string(got) != get1+get2 || err != nil {
		t.Errorf("the other service has %q, %v", got, err)
	}

	// What was the end of a connection there is the middle of one here.
	s.SetService(1, Service{})
	s.Inject(to(1, c.data(0, []byte(get1)), c.fin(n)))
	again := accept(t, s)
	if got, err := readAll(t, again); string(got) != get1 || err != nil {
		t.Errorf("the next service has %q, %v", got, err)
	}
}

// What the reader of a service that ends does not take is cut off in the end.
func TestAServiceThatEndsIsCutOff(t *testing.T) {
	s := newTestStack(t, func(c *Config) { c.Services = make([]Service, 2); c.ReceiveBuffer = 64 << 10 })
	c := newClient(t, 1)
	sent := pattern(300_000)
	s.Inject(to(1, append(c.opening(), c.stream(0, sent, 1000)...)...))
	conn := accept(t, s)
	waitFor(t, "nothing has come", func() bool { return conn.unread() > 0 })
	s.EndService(1)
	if info := s.Flows(); len(info) != 1 {
		t.Fatalf("%d connections are followed, of which the reader has taken nothing", len(info))
	}
	s.CutService(1)
	got, err := readAll(t, conn)
	if !bytes.HasPrefix(sent, got) || len(got) == 0 || !errors.Is(err, outcome.EndShutdown) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if !s.ReleaseService(1) {
		t.Error("the service is not forgotten")
	}
}

// Of a service that takes fewer connections than before, the others end.
func TestConnectionsEndThatAServiceTakesNoMore(t *testing.T) {
	const n = len(get1)
	s := newTimed(t, nil)
	keep, end := at(t, 40000), at(t, 40001)
	for _, c := range []*client{keep, end} {
		s.Inject(append(c.opening(), c.data(0, []byte(get1))))
	}
	s.pass(time.Second)
	s.EndConnections(0, func(f *FlowInfo) bool { return f.Client.Port() == 40000 })
	s.Inject([]Segment{keep.data(n, []byte(get2)), keep.fin(2 * n)})
	s.pass(time.Second)
	s.is(keep, text(get1+get2, nil))
	s.is(end, text(get1, outcome.EndShutdown))
}
