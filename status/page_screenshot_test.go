package status

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"netmirror/bridge"
	"netmirror/outcome"
	"netmirror/service"
	"netmirror/stack"
)

// busyDay is a made-up run of a netmirror with 15 minutes behind it, in which the
// ring overflowed for a moment and the mirror loses packets now.
type busyDay struct {
	random *rand.Rand
	s      Snapshot
}

func newBusyDay(begin time.Time) *busyDay {
	d := &busyDay{random: rand.New(rand.NewPCG(1, 2))}
	d.s.Time, d.s.Ring.Room = begin, 512
	for i, text := range []string{"42:8080=staging.example:80", "42:8443=staging.example:443", "7:9000-9010=queue.staging.example:9000"} {
		f, _ := service.ParseForward(text)
		d.s.Services = append(d.s.Services, Service{
			ID: service.ID(i), Name: f.Selection.String(), Selection: f.Selection, To: f.Target, Flows: 436 >> (2 * i),
			Target: bridge.Health{Tried: true, Answers: true, Since: begin},
		})
	}
	return d
}

// loses has a service lose bytes.
func (d *busyDay) loses(i int, why outcome.Drop, n uint64) { d.s.Services[i].Lost[why] += n }

// serves shares out what came between the services.
func (d *busyDay) serves(sent, begun, outcomes uint64) {
	for i := range d.s.Services {
		f := &d.s.Services[i]
		f.Bytes += sent >> i
		f.Bridge.BytesWritten += sent >> i
		f.Bridge.Streams += begun >> i
		f.Bridge.Outcomes[outcome.EndComplete] += begun >> i
		f.Bridge.Outcomes[outcome.EndGap] += outcomes >> (4 * i)
		f.Bridge.Open = int64(400 >> (2 * i))
	}
	d.loses(1, outcome.DropMidStream, about1(d.random))
}

// about1 is a few bytes now and then.
func about1(r *rand.Rand) uint64 { return uint64(max(0, r.IntN(4000)-3600)) }

// pass lets seconds go by, behind which left are left until now.
func (d *busyDay) pass(seconds, left float64) {
	r := d.random
	about := func(perSecond float64) uint64 {
		return uint64(math.Round(max(0, perSecond*seconds*(0.94+0.12*r.Float64())+r.Float64()-0.5)))
	}
	load := 1 + 0.35*math.Sin(left/160) + 0.1*math.Sin(left/23)
	lossy := left < 75 || (left > 300 && left < 340)
	full := left > 560 && left < 585
	s := &d.s
	s.Time = s.Time.Add(time.Duration(seconds * float64(time.Second)))
	frames := about(18_000 * load)
	s.Frames += frames
	s.Stack.Packets += frames
	s.Stack.Bytes += about(9e6 * load)
	s.Stack.ServerBytes += about(31e6 * load)
	s.Bridge.BytesWritten += about(8.8e6 * load)
	s.Stack.Dropped[outcome.DropNoPayload] += frames / 2
	s.Stack.Dropped[outcome.DropMidStream] += about(0.8)
	s.Stack.Used = s.Frames * 45 / 100
	begun := about(130 * load)
	s.Stack.FlowsOpened += begun
	lost := uint64(0)
	if lossy {
		lost = about(1.5)
	}
	d.serves(about(4.4e6*load), begun, lost)
	s.Bridge.Dials += begun
	s.Bridge.Outcomes[outcome.EndComplete] += begun - begun/15
	s.Bridge.Outcomes[outcome.EndClientReset] += begun / 15
	s.Stack.Flows, s.Bridge.Open = int(420*load)+r.IntN(20), int64(390*load)+r.Int64N(20)
	s.Stack.Held, s.Stack.BytesHeld, s.Ring.Waiting = 40, uint64(60e3*load*(0.7+0.6*r.Float64())), 3+r.IntN(6)
	if lossy {
		s.Bridge.Outcomes[outcome.EndGap] += about(1.5)
		s.Stack.Dropped[outcome.DropGap] += about(22)
		s.Stack.Holes += about(1.5)
		s.Stack.MissingBytes += about(2200)
		d.loses(0, outcome.DropGap, about(61e3))
		d.loses(0, outcome.DropTargetEnded, about(9e3))
		s.Services[0].MissingBytes += about(2200)
		s.Bridge.Outcomes[outcome.EndTargetClosed] += about(0.4)
		s.Stack.Dropped[outcome.DropTargetEnded] += about(5)
		s.Stack.BytesHeld *= 9
		s.Stack.PickedUp += about(1.5)
	}
	if full {
		s.Ring.Drops += about(90)
		s.Bridge.Outcomes[outcome.EndGap] += about(4)
		s.Stack.Dropped[outcome.DropGap] += about(30)
		d.loses(0, outcome.DropGap, about(900e3))
		s.Services[0].MissingBytes += about(90e3)
		s.Ring.Waiting = 470 + r.IntN(40)
	}
}

func busyFlows() []stack.FlowInfo {
	now, r := time.Now(), rand.New(rand.NewPCG(3, 4))
	all := make([]stack.FlowInfo, 436)
	for i := range all {
		f := stack.FlowInfo{
			VNI: 42, State: stack.FlowOpen, PickedUp: r.IntN(9) == 0, Received: uint64(r.ExpFloat64() * 800e3),
			Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 20, byte(r.IntN(4)), byte(1 + r.IntN(250))}), uint16(32768+r.IntN(28000))),
			Server: netip.MustParseAddrPort("10.20.8.15:8080"),
			Opened: now.Add(-time.Duration(r.ExpFloat64() * 9e10)), LastPacket: now.Add(-time.Duration(r.ExpFloat64() * 2e8)),
		}
		switch {
		case i%61 == 3:
			f.State, f.Held = stack.FlowGap, uint64(r.IntN(200e3))
		case i%83 == 5:
			f.State, f.Held = stack.FlowBacklog, 64<<10+uint64(r.IntN(200e3))
		case i%97 == 7:
			f.State = stack.FlowSeeking
		}
		all[i] = f
	}
	return all
}

// busyMonitor is a monitor that has watched a busy day.
func busyMonitor() *Monitor {
	begin := time.Now().Add(-14*time.Minute - 30*time.Second)
	day := newBusyDay(begin)
	m := NewMonitor(Config{
		Version: "v1.0.0 go1.26.3", Target: "staging.example:80 and 2 more",
		Capture: Capture{Host: "mirror-1", Interface: "ens5", VNI: "7,42", Port: "8080,8443,9000-9010"},
		Source:  Source{Snapshot: func() Snapshot { return day.s }, Flows: busyFlows},
		Settings: []Setting{
			{Flag: "iface", Value: "ens5"}, {Flag: "vni", Value: "42"}, {Flag: "port", Value: "8080"}, {Flag: "to", Value: "staging.example:80"},
			{Flag: "http", Value: ":9090"}, {Flag: "gap-timeout", Value: "2s"}, {Flag: "ring-mib", Value: "64", Default: true},
			{Flag: "on-gap", Value: "reset", Default: true}, {Flag: "midstream", Value: "http", Default: true},
			{Flag: "max-flows", Value: "20000", Default: true}, {Flag: "total-mib", Value: "512", Default: true}, {Flag: "idle-timeout", Value: "10m0s", Default: true},
		},
	})
	m.begin, m.watch.begin, m.head.begin = begin, begin, begin
	m.Enter(Capturing)
	for left := 870.0; left > 0; left -= 2 {
		day.pass(2, left)
		m.Look()
	}
	return m
}

// TestScreenshots makes the pictures of the status page that the documentation
// has, in the folder of NETMIRROR_SCREENSHOTS.
func TestScreenshots(t *testing.T) {
	folder := os.Getenv("NETMIRROR_SCREENSHOTS")
	if folder == "" {
		t.Skip("NETMIRROR_SCREENSHOTS is not set")
	}
	srv := httptest.NewServer(busyMonitor().routes(http.NotFoundHandler(), false))
	defer srv.Close()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	for _, shot := range []struct {
		file, scheme  string
		width, height int64
	}{
		{"status-page.png", "light", 1600, 1140},
		{"status-page-dark.png", "dark", 375, 1900},
	} {
		picture, err := takePicture(ctx, srv.URL, shot.scheme, shot.width, shot.height)
		if err != nil {
			t.Fatalf("%s: %v", shot.file, err)
		}
		if err := os.WriteFile(filepath.Join(folder, shot.file), picture, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes", shot.file, len(picture))
	}
	if err := chromedp.Cancel(ctx); err != nil {
		t.Error(err)
	}
}

func takePicture(ctx context.Context, url, scheme string, width, height int64) ([]byte, error) {
	if err := chromedp.Do(ctx,
		chromedp.EmulateViewport(width, height),
		func(ctx context.Context, tab *chromedp.Target) (chromedp.Void, error) {
			_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			})
			return chromedp.Void{}, err
		},
		chromedp.Navigate(url),
		chromedp.Poll[chromedp.Void](`document.querySelectorAll(".legend b").length > 8 && document.querySelector("#outcomes tr")`),
	); err != nil {
		return nil, err
	}
	return chromedp.Run(ctx, chromedp.CaptureScreenshot())
}
