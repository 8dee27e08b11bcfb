package replay

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"netmirror/bridge"
	"netmirror/outcome"
	"netmirror/status"
)

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		name string
		f    Figures
		want int
	}{
		{"all", Figures{Lost: []Loss{{OfFile, 0, "holes"}, {OfReplay, 0, "resets"}}}, 0},
		{"a hole in the file", Figures{Lost: []Loss{{OfFile, 1, "holes"}}}, 3},
		{"a target that refused", Figures{Lost: []Loss{{OfFile, 1, "holes"}, {OfReplay, 1, "resets"}}}, 1},
		{"a file that ends in a packet's middle", Figures{Faults: []error{io.ErrUnexpectedEOF}}, 3},
		{"nothing of the service", Figures{Services: []ServiceFigures{{Name: "port 81", Bytes: 83}}}, 3},
		{"nothing of one service", Figures{Services: []ServiceFigures{{Name: "port 81"}, {Name: "port 80", Streams: 1}}}, 0},
		{"ended early", Figures{Cut: true}, 1},
	} {
		if got := c.f.Status(); got != c.want {
			t.Errorf("%s: status %d, want %d", c.name, got, c.want)
		}
	}
}

func TestSummary(t *testing.T) {
	f := Figures{
		Delivery: status.Delivery{Sent: 4000, Lost: [outcome.NumPlaces]uint64{outcome.PlaceBefore: 100}, Whole: 10, LostStreams: 1},
		Packets:  1234, Bytes: 567890, Span: 90 * time.Second, Took: 1500 * time.Millisecond,
		Services: []ServiceFigures{{Name: "port 8080", Streams: 12, Complete: 10, Open: 1, Bytes: 4000, Forwarded: 3900, Delivery: status.Delivery{Sent: 4000, Lost: [outcome.NumPlaces]uint64{outcome.PlaceBefore: 100}}}},
		Lost:     []Loss{{OfFile, 2, "holes"}, {OfReplay, 0, "streams were refused"}},
	}
	var b strings.Builder
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := `1234 packets, 567890 bytes, captured in 1m30s, replayed in 1.5s
97.5 % of the bytes that the clients sent reached the target; 90.9 % of the streams came whole
    service  connections  complete  open at the end  bytes of clients  forwarded  reached the target
  port 8080           12        10                1              4000       3900              97.5 %
not in the capture:
  2 holes
all that could be was forwarded; the capture does not hold all that clients sent
`
	if b.String() != want {
		t.Errorf("wrote\n%swant\n%s", &b, want)
	}
}

// A wrong port must not look like a success.
func TestVerdictOfNothing(t *testing.T) {
	f := Figures{Packets: 4, Services: []ServiceFigures{{Name: "port 81"}}}
	var b strings.Builder
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "nothing was forwarded") || !strings.Contains(b.String(), "check --read") {
		t.Errorf("wrote\n%s", &b)
	}
}

func TestVerdictOfAnEmptyCapture(t *testing.T) {
	f := Figures{Services: []ServiceFigures{{Name: "port 80"}}}
	var b strings.Builder
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	if want := "nothing was forwarded: there is no packet in the capture"; !strings.Contains(b.String(), want) {
		t.Errorf("no %q in\n%s", want, &b)
	}
}

// One that nothing is there for may have a mistyped port.
func TestServiceThatIsNotInTheCapture(t *testing.T) {
	f := Figures{Packets: 4, Services: []ServiceFigures{{Name: "shop", Streams: 1}, {Name: "pay"}}}
	var b strings.Builder
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	if want := "the capture has no connection that could be forwarded of pay; netmirror check --read FILE"; !strings.Contains(b.String(), want) {
		t.Errorf("no %q in\n%s", want, &b)
	}
}

// Every way in which a stream can end, but for a complete one and the end of the files,
// is in the table, so that its figures add up.
func TestEveryEndIsTold(t *testing.T) {
	s, err := Open(t.Context(), Config{Paths: []string{capture(t, time.Second, plainFrame(t, 80, "a"))}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for e := range outcome.End(len(bridge.Stats{}.Outcomes)) {
		switch e {
		case outcome.EndComplete, outcome.EndClientReset, outcome.EndServerReset, outcome.EndShutdown:
			continue
		}
		p := new(status.Snapshot)
		p.Bridge.Outcomes[e] = 7
		f := s.Figures(p, time.Now())
		if !slices.ContainsFunc(f.Lost, func(l Loss) bool { return l.Count == 7 }) {
			t.Errorf("nothing tells of streams that ended as %s", e)
		}
	}
}

// What lies too far ahead at the end of the files, behind a loss larger than a window, was not
// forwarded.
func TestOutOfWindowIsTold(t *testing.T) {
	s, err := Open(t.Context(), Config{Paths: []string{capture(t, time.Second, plainFrame(t, 80, "a"))}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := new(status.Snapshot)
	p.Stack.Dropped[outcome.DropOutOfWindow] = 4 // a second RST has no payload, and nothing is lost with it
	if f := s.Figures(p, time.Now()); slices.ContainsFunc(f.Lost, func(l Loss) bool { return l.Count > 0 }) {
		t.Errorf("told of packets without payload: %+v", f.Lost)
	}
	p.Stack.DroppedBytes[outcome.DropOutOfWindow] = 4380
	if f := s.Figures(p, time.Now()); !slices.ContainsFunc(f.Lost, func(l Loss) bool { return l.Count == 4380 && l.Whose == OfFile }) {
		t.Errorf("nothing tells of the bytes: %+v", f.Lost)
	}
}

func TestProgress(t *testing.T) {
	for _, c := range []struct {
		p    Progress
		want string
	}{
		{Progress{Read: 25e6, Total: 100e6, Took: 10 * time.Second}, "[=====               ]  25% of 100 MB, 30s left"},
		{Progress{Read: 0, Total: 100e6, Took: time.Second}, "[                    ]   0% of 100 MB"},
		{Progress{Read: 25e6}, "25 MB read"}, // a pipe
	} {
		if got := c.p.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
