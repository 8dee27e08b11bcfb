package pipeline

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"netmirror/bridge"
	"netmirror/service"
	"netmirror/source"
	"netmirror/source/sourcetest"
	"netmirror/stack"
	"netmirror/status"
	"netmirror/target/targettest"
	"netmirror/wire/wiretest"
)

// segment is the frame of a client's TCP segment to the service of VNI 1.
func segment(t *testing.T, client uint16, seq uint32, flags, payload string) []byte {
	t.Helper()
	outer := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IP{10, 0, 0, 1}, DstIP: net.IP{10, 0, 0, 2}}
	udp := &layers.UDP{SrcPort: 50000, DstPort: 4789}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IP{192, 0, 2, 1}, DstIP: net.IP{192, 0, 2, 2}}
	tcp := &layers.TCP{SrcPort: layers.TCPPort(client), DstPort: 8080, Seq: seq, Ack: 1, Window: 512,
		SYN: strings.Contains(flags, "S"), ACK: strings.Contains(flags, "A"), FIN: strings.Contains(flags, "F")}
	for _, err := range []error{udp.SetNetworkLayerForChecksum(outer), tcp.SetNetworkLayerForChecksum(ip)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	eth := &layers.Ethernet{SrcMAC: make(net.HardwareAddr, 6), DstMAC: make(net.HardwareAddr, 6), EthernetType: layers.EthernetTypeIPv4}
	return wiretest.Serialize(t, eth, outer, udp, &layers.VXLAN{ValidIDFlag: true, VNI: 1}, eth, ip, tcp, gopacket.Payload(payload))
}

// target is a shadow service that keeps what each connection brought.
func target(t *testing.T) (address string, streams <-chan string) {
	t.Helper()
	got := make(chan string, 100)
	address = targettest.Listen(t, func(c net.Conn) {
		text, err := io.ReadAll(c)
		if err == nil && len(text) == 0 {
			return // only looked whether there is somebody
		}
		if err != nil {
			text = append(text, " reset"...)
		}
		got <- string(text)
	})
	return address, got
}

func testConfig(target string, workers int) Config {
	return Config{
		Services: []Service{{Selection: service.Selection{VNIs: service.VNIsOf(1), Ports: service.PortsOf(8080)}, Target: bridge.Config{Target: target}}},
		Workers:  workers, Stack: stack.Config{}, TotalBytes: 256 << 20, AllCores: true, Patience: 10 * time.Second,
	}
}

func opened(t *testing.T, c Config) *Pipeline {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// running runs p; what Run returned comes by the channel.
func running(t *testing.T, p *Pipeline, enter func(status.Phase), sources ...source.Source) (stop func(), ended <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, enter, sources...) }()
	return cancel, done
}

// The frames of many connections come by two sources to three workers; those of each
// connection by both.
func TestConnectionsOfSeveralSources(t *testing.T) {
	address, streams := target(t)
	one, two := sourcetest.New(source.Ethernet, source.Wall), sourcetest.New(source.Ethernet, source.Wall)
	p := opened(t, testConfig(address, 3))
	phases := make(chan status.Phase, 3)
	stop, ended := running(t, p, func(now status.Phase) { phases <- now }, one, two)
	defer stop()
	var heads, tails [][]byte
	want := make(map[string]int)
	for i := range uint16(20) {
		text := strings.Repeat(string(rune('a'+i)), 100)
		want[text+text]++
		heads = append(heads, segment(t, 40000+i, 999, "S", ""), segment(t, 40000+i, 1000, "A", text))
		tails = append(tails, segment(t, 40000+i, 1100, "AF", text))
	}
	one.Give(time.Now(), heads)
	two.Give(time.Now(), tails)
	for range 20 {
		want[<-streams]--
	}
	for text, n := range want {
		if n != 0 {
			t.Errorf("%d streams too few of %.10q...", n, text)
		}
	}
	if s := p.Snapshot(); s.Frames != 60 || s.Stack.FlowsOpened != 20 || s.Bridge.Streams != 20 {
		t.Errorf("%d frames, %d flows, %d streams; want 60, 20, 20", s.Frames, s.Stack.FlowsOpened, s.Bridge.Streams)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := []status.Phase{<-phases, <-phases}; got[0] != status.Capturing || got[1] != status.Draining {
		t.Errorf("phases %v", got)
	}
}

// A source that comes to its end ends the run: what is open is delivered as far as it
// came, and then reset, as nobody knows how it went on.
func TestASourceThatEnds(t *testing.T) {
	address, streams := target(t)
	frames := sourcetest.New(source.Ethernet, source.Wall)
	_, ended := running(t, opened(t, testConfig(address, 1)), nil, frames)
	frames.Give(time.Now(), [][]byte{segment(t, 1, 0, "S", ""), segment(t, 1, 1, "A", "some")})
	frames.Stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := <-streams; got != "some reset" {
		t.Errorf("the target got %q", got)
	}
}

// A source with stamps of its own is read as fast as it gives, and a hole in it is
// given up after the time that passes in it.
func TestASourceWithItsOwnClock(t *testing.T) {
	address, streams := target(t)
	frames := sourcetest.New(source.Ethernet, source.Stamps)
	c := testConfig(address, 2)
	c.Stack.GapTimeout = time.Minute
	p := opened(t, c)
	_, ended := running(t, p, nil, frames)
	at := time.Date(2015, 3, 1, 12, 0, 0, 0, time.UTC)
	frames.Give(at, [][]byte{segment(t, 1, 0, "S", ""), segment(t, 1, 1, "A", "some"), segment(t, 1, 10, "A", "behind")})
	frames.Give(at.Add(59*time.Second), [][]byte{segment(t, 2, 0, "S", ""), segment(t, 2, 1, "A", "other")})
	if n := p.Snapshot().Stack.Holes; n != 0 {
		t.Errorf("%d holes given up after 59 s, want none", n)
	}
	frames.Give(at.Add(61*time.Second), [][]byte{segment(t, 2, 6, "AF", "")})
	if n := p.Snapshot().Stack.Holes; n != 1 {
		t.Errorf("%d holes given up after 61 s, want 1", n)
	}
	for range 2 {
		if got := <-streams; got != "some reset" && got != "other" {
			t.Errorf("the target got %q", got)
		}
	}
	frames.Stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

type broken struct{ *sourcetest.Memory }

func (broken) Next() ([][]byte, error) { return nil, io.ErrUnexpectedEOF }

func TestASourceThatFailsEndsAll(t *testing.T) {
	address, _ := target(t)
	sound := sourcetest.New(source.Ethernet, source.Wall)
	_, ended := running(t, opened(t, testConfig(address, 2)), nil, sound, broken{sourcetest.New(source.Ethernet, source.Wall)})
	if err := <-ended; err != io.ErrUnexpectedEOF {
		t.Errorf("the run ends with %v", err)
	}
	if sound.Give(time.Now(), nil) {
		t.Error("the other source goes on")
	}
}

func TestWhatCannotBeRun(t *testing.T) {
	address, _ := target(t)
	c := testConfig(address, 1)
	c.Services = nil
	if _, err := New(c); !errors.Is(err, service.ErrNone) {
		t.Errorf("no service: %v", err)
	}
	c.Services = make([]Service, service.Max+1)
	for i := range c.Services {
		c.Services[i] = testConfig(address, 1).Services[0]
	}
	if _, err := New(c); !errors.Is(err, service.ErrMany) {
		t.Errorf("%d services: %v", len(c.Services), err)
	}
	p := opened(t, testConfig(address, 1))
	stamped, wall := sourcetest.New(source.Ethernet, source.Stamps), sourcetest.New(source.Ethernet, source.Wall)
	for name, sources := range map[string][]source.Source{"no source": nil, "a clock of its own beside another": {wall, stamped}} {
		if err := p.Run(t.Context(), nil, sources...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	odd := sourcetest.New(source.Start(0xff), source.Wall)
	_, ended := running(t, p, nil, odd)
	odd.Give(time.Now(), [][]byte{bytes.Repeat([]byte{0x45}, 40)})
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "unknown") {
		t.Errorf("frames with an unknown beginning: %v", err)
	}
}

// logged is a log in memory.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A target that takes nothing is cut off when the time to stop is over, and the log says so. One that
// has taken all is not.
func TestStopSaysWhatIsCutOff(t *testing.T) {
	for _, takes := range []bool{true, false} {
		to, _ := target(t)
		patience := time.Minute
		if !takes {
			patience = 100 * time.Millisecond
			ln, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			to = ln.Addr().String()
		}
		said := new(logged)
		c := testConfig(to, 1)
		c.Log, c.Patience = slog.New(slog.NewTextHandler(said, nil)), patience
		c.Services[0].Target.WriteTimeout, c.Services[0].Target.LingerTimeout = time.Hour, time.Hour
		src := sourcetest.New(source.Ethernet, source.Wall)
		p := opened(t, c)
		stop, ended := running(t, p, nil, src)
		piece := strings.Repeat("x", 60_000)
		give := func(frame []byte) { src.Give(time.Now(), [][]byte{frame}) }
		give(segment(t, 1, 0, "S", ""))
		for i := range 200 {
			give(segment(t, 1, 1+uint32(i*len(piece)), "A", piece))
		}
		give(segment(t, 1, 1+uint32(200*len(piece)), "AF", ""))
		for p.Snapshot().Bridge.Streams == 0 || p.Snapshot().Stack.Packets < 202 {
			time.Sleep(time.Millisecond)
		}
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if cut := strings.Contains(said.String(), "is cut off\" after=100ms streams=1"); cut == takes {
			t.Errorf("the target takes all: %v; the log has %q, the outcomes are %v", takes, said.String(), p.Snapshot().Bridge.Outcomes)
		}
	}
}
