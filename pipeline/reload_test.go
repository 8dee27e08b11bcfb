package pipeline

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"netmirror/bridge"
	"netmirror/outcome"
	"netmirror/service"
	"netmirror/source"
	"netmirror/source/sourcetest"
)

// choosing is a source that keeps what is selected of it.
type choosing struct {
	*sourcetest.Memory
	mu   sync.Mutex // guards the fields below
	got  []string
	fail int // which call fails, counted from 1; 0: none
}

func (c *choosing) Select(s service.Selection) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, s.String())
	if len(c.got) == c.fail {
		return errors.New("no memory for a filter")
	}
	return nil
}

// forwarding is a service of a selection.
func forwarding(t *testing.T, name, selected, to string) Service {
	return Service{Name: name, Selection: selection(t, selected), Target: bridge.Config{Target: to, Retries: -1}}
}

// reloads is a pipeline with a source of memory whose services can be changed.
type reloads struct {
	*Pipeline
	t     *testing.T
	src   *choosing
	stop  func()
	ended <-chan error
}

func startReloads(t *testing.T, workers int, patience time.Duration, services ...Service) *reloads {
	t.Helper()
	c := testConfig("", workers)
	c.Services, c.Patience = services, patience
	r := &reloads{Pipeline: opened(t, c), t: t, src: &choosing{Memory: sourcetest.New(source.Ethernet, source.Wall)}}
	r.stop, r.ended = running(t, r.Pipeline, nil, r.src)
	r.give() // it runs
	return r
}

func (r *reloads) give(frames ...[]byte) { r.src.Give(time.Now(), frames) }

func (r *reloads) reload(want Changes, services ...Service) {
	r.t.Helper()
	got, err := r.Reload(services)
	if err != nil {
		r.t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Error(diff)
	}
}

// end ends the run, and checks that no packet and no stream is missing in the figures.
func (r *reloads) end() {
	r.t.Helper()
	r.stop()
	if err := <-r.ended; err != nil {
		r.t.Error(err)
	}
	s := r.Snapshot()
	n := s.Stack.Used + s.Stack.Held
	for _, dropped := range s.Stack.Dropped {
		n += dropped
	}
	var ended uint64
	for _, of := range s.Bridge.Outcomes {
		ended += of
	}
	if n != s.Stack.Packets || ended != s.Bridge.Streams || s.Bridge.Streams != s.Stack.FlowsOpened || s.Bridge.Open != 0 {
		r.t.Errorf("%d of %d packets, %d of %d streams accounted for, %d handed out, %d open",
			n, s.Stack.Packets, ended, s.Bridge.Streams, s.Stack.FlowsOpened, s.Bridge.Open)
	}
}

func wantStream(t *testing.T, who string, streams <-chan string, want string) {
	t.Helper()
	select {
	case got := <-streams:
		if got != want {
			t.Errorf("%s got %q, want %q", who, got, want)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("%s got nothing, want %q", who, want)
	}
}

// A service that is added gets what comes from then on, one that is removed is given
// what came, and the one that stays has its streams whole, over all of it.
func TestReload(t *testing.T) {
	a, ofA := target(t)
	b, ofB := target(t)
	stays := forwarding(t, "stays", "1:8080", a)
	r := startReloads(t, 2, 10*time.Second, stays)
	r.give(segment(t, 1, 0, "S", ""), segment(t, 1, 1, "A", "one "))
	r.reload(Changes{Added: []string{"2:8080"}}, stays, forwarding(t, "", "2:8080", b))
	two := [][]byte{segment(t, 2, 0, "S", ""), segment(t, 2, 1, "A", "two ")}
	r.give(inNetwork(two[0], 2), inNetwork(two[1], 2), segment(t, 1, 5, "A", "two "))
	for _, frame := range wholeConnection(t, 3, "whole") {
		r.give(inNetwork(frame, 2))
	}
	wantStream(t, "the service that was added", ofB, "whole")
	r.reload(Changes{Removed: []string{"2:8080"}}, stays)
	wantStream(t, "the service that was removed", ofB, "two  reset")
	r.give(inNetwork(segment(t, 2, 5, "A", "three"), 2), segment(t, 1, 9, "AF", "three"))
	wantStream(t, "the service that stays", ofA, "one two three")
	r.end()
	s := r.Snapshot()
	if len(s.Services) != 1 || s.Services[0].Name != "stays" || s.Bridge.Streams != 3 || s.Bridge.Outcomes[outcome.EndShutdown] != 1 {
		t.Errorf("%d services, %d streams, %d that were shut down", len(s.Services), s.Bridge.Streams, s.Bridge.Outcomes[outcome.EndShutdown])
	}
	if want := []string{"1,2:8080", "1:8080"}; !slices.Equal(r.src.got, want) {
		t.Errorf("the source was asked for %q, want %q", r.src.got, want)
	}
}

// The source goes over from one selection to another by way of both.
func TestReloadSelectsBothMeanwhile(t *testing.T) {
	a, _ := target(t)
	r := startReloads(t, 1, 0, forwarding(t, "", "1:80", a), forwarding(t, "", "2:81", a))
	r.reload(Changes{Added: []string{"3:82"}, Removed: []string{"2:81"}}, forwarding(t, "", "1:80", a), forwarding(t, "", "3:82", a))
	if want := []string{"1,2,3:80-82", "1,3:80,82"}; !slices.Equal(r.src.got, want) {
		t.Errorf("the source was asked for %q, want %q", r.src.got, want)
	}
	r.end()
}

// Open streams keep the target that they have; new ones go to the new one.
func TestReloadChangesATarget(t *testing.T) {
	a, ofA := target(t)
	b, ofB := target(t)
	r := startReloads(t, 1, 10*time.Second, forwarding(t, "shop", "1:8080", a))
	r.give(segment(t, 1, 0, "S", ""), segment(t, 1, 1, "A", "old "))
	for r.Snapshot().Bridge.Open == 0 {
		time.Sleep(time.Millisecond)
	}
	r.reload(Changes{Changed: []string{"shop"}}, forwarding(t, "shop", "1:8080", b))
	r.give(wholeConnection(t, 2, "new")...)
	wantStream(t, "the new target", ofB, "new")
	r.give(segment(t, 1, 5, "AF", "still"))
	wantStream(t, "the old target", ofA, "old still")
	if s := r.Snapshot(); s.Services[0].To != b || s.Services[0].Bridge.Streams != 2 {
		t.Errorf("the service has %s and %d streams", s.Services[0].To, s.Services[0].Bridge.Streams)
	}
	r.end()
}

// What a service does not take any more ends; the rest goes on.
func TestReloadChangesWhatIsTaken(t *testing.T) {
	for _, row := range []struct {
		name   string
		before string
		change func(*Service)
	}{
		{"the ports", "1:8080,9000-9090", func(s *Service) { s.Selection = selection(t, "1:8080,9091") }},
		{"the networks", "1,2:8080,9000", func(s *Service) { s.Selection = selection(t, "1,3:8080,9000") }},
		{"the clients", "any:8080,9000", func(s *Service) {
			s.Clients, _ = service.NewClients(nil, []string{"192.0.2.2"})
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, streams := target(t)
			was := forwarding(t, "shop", row.before, a)
			r := startReloads(t, 2, 10*time.Second, was)
			other := func(seq uint32, flags, text string) []byte {
				frame := segment(t, 1, seq, flags, text)
				switch row.name {
				case "the ports":
					return toPort(frame, 9000)
				case "the networks":
					return inNetwork(frame, 2)
				}
				return fromClient(frame, net.IP{192, 0, 2, 2})
			}
			r.give(segment(t, 1, 0, "S", ""), segment(t, 1, 1, "A", "stays "), other(0, "S", ""), other(1, "A", "goes"))
			is := was
			row.change(&is)
			r.reload(Changes{Changed: []string{"shop"}}, is)
			wantStream(t, "what is not taken any more", streams, "goes reset")
			r.give(other(5, "AF", "on"), segment(t, 1, 7, "AF", "on"))
			wantStream(t, "what is still taken", streams, "stays on")
			r.end()
		})
	}
}

// A service is known by its selection and target, whatever it is called, or by its name.
func TestReloadKnowsServicesAgain(t *testing.T) {
	a, ofA := target(t)
	b, _ := target(t)
	r := startReloads(t, 1, 10*time.Second, forwarding(t, "shop", "1:8080", a))
	r.give(segment(t, 1, 0, "S", ""), segment(t, 1, 1, "A", "one "))
	r.reload(Changes{Added: []string{"shop=b"}, Changed: []string{"shop=a"}},
		forwarding(t, "shop=b", "1:8080", b), forwarding(t, "shop=a", "1:8080", a))
	r.give(segment(t, 1, 5, "AF", "two"))
	wantStream(t, "the target that stays", ofA, "one two")
	r.reload(Changes{}, forwarding(t, "shop=a", "1:8080", a), forwarding(t, "shop=b", "1:8080", b))
	r.end()
}

// What cannot be put into force changes nothing.
func TestReloadThatFails(t *testing.T) {
	a, ofA := target(t)
	stays := forwarding(t, "stays", "1:8080", a)
	r := startReloads(t, 1, 10*time.Second, stays)
	r.give(segment(t, 1, 0, "S", ""), segment(t, 1, 1, "A", "one "))
	r.src.fail = 1
	for name, wrong := range map[string][]Service{
		"no service":             {},
		"a target that is none":  {stays, forwarding(t, "", "2:80", "nowhere")},
		"a rate that is none":    {stays, {Selection: selection(t, "2:80"), Target: stays.Target, MaxRate: -1}},
		"a filter that is wrong": {forwarding(t, "", "2:80", a)},
	} {
		if _, err := r.Reload(wrong); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if want := []string{"1,2:80,8080", "1:8080"}; !slices.Equal(r.src.got, want) {
		t.Errorf("the source was asked for %q, want %q", r.src.got, want)
	}
	r.give(segment(t, 1, 5, "AF", "two"))
	wantStream(t, "the service", ofA, "one two")
	r.end()
}

// A target that takes nothing is cut off when Patience has passed, and then nothing is
// left of its service.
func TestReloadCutsOff(t *testing.T) {
	a, _ := target(t)
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	stays, goes := forwarding(t, "stays", "2:8080", a), forwarding(t, "goes", "1:8080", ln.Addr().String())
	goes.Target.WriteTimeout, goes.Target.LingerTimeout = time.Hour, time.Hour
	r := startReloads(t, 2, time.Second, stays, goes)
	piece := strings.Repeat("x", 60_000)
	r.give(segment(t, 1, 0, "S", ""))
	for i := range 200 {
		r.give(segment(t, 1, 1+uint32(i*len(piece)), "A", piece))
	}
	begun := time.Now()
	r.reload(Changes{Removed: []string{"goes"}}, stays)
	for r.Snapshot().Bridge.Open > 0 {
		if time.Since(begun) > 10*time.Second {
			t.Fatal("the stream is still open")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if took := time.Since(begun); took < time.Second {
		t.Errorf("cut off after %v", took)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		r.mu.RLock()
		left := r.ids[1]
		r.mu.RUnlock()
		if left == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the service is not forgotten")
		}
	}
	r.end()
}

// Under load, with services that come and go and change, by several sources, not one
// stream of the service that stays is missing or altered.
func TestReloadsUnderLoad(t *testing.T) {
	a, ofA := target(t)
	others := make([]string, 3)
	for i := range others {
		others[i], _ = target(t)
	}
	stays := forwarding(t, "stays", "1:8080", a)
	r := startReloads(t, 2, 0, stays)
	const conns, rounds = 60, 40
	var load sync.WaitGroup
	load.Go(func() {
		for i := range uint16(conns) {
			for _, frame := range wholeConnection(t, 1000+i, fmt.Sprint("connection ", i)) {
				r.give(frame, inNetwork(frame, 2), inNetwork(frame, 3))
			}
		}
	})
	for i := range rounds {
		services := []Service{stays}
		if i%3 != 0 {
			services = append(services, forwarding(t, "comes and goes", "2:8080", others[i%2]))
		}
		if i%2 == 0 {
			services = append(services, forwarding(t, "", fmt.Sprint("1,3:", 8070+i%11, "-8080"), others[2]))
		}
		if _, err := r.Reload(services); err != nil {
			t.Fatal(err)
		}
	}
	load.Wait()
	want, got := make(map[string]int), make(map[string]int)
	for i := range conns {
		want[fmt.Sprint("connection ", i)] = 1
		got[<-ofA]++
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	r.reload(Changes{}, r.inForce()...)
	r.end()
}

// inForce are those in force.
func (r *reloads) inForce() (all []Service) {
	for _, s := range r.table.Load().services {
		all = append(all, s.Service)
	}
	return all
}

// Where the addresses and ports of a frame that segment made begin, behind VXLAN and
// Ethernet.
const (
	innerIP  = 14 + 20 + 8 + 8 + 14
	innerTCP = innerIP + 20
)

// toPort is a frame to another port, with a right checksum.
func toPort(frame []byte, port uint16) []byte {
	b := slices.Clone(frame)
	binary.BigEndian.PutUint16(b[innerTCP+2:], port)
	return resummed(b)
}

// fromClient is a frame of another client, with right checksums.
func fromClient(frame []byte, client net.IP) []byte {
	b := slices.Clone(frame)
	copy(b[innerIP+12:], client.To4())
	return resummed(b)
}

func resummed(b []byte) []byte {
	packet := gopacket.NewPacket(b[innerIP:], layers.LayerTypeIPv4, gopacket.Default)
	ip, tcp := packet.Layer(layers.LayerTypeIPv4).(*layers.IPv4), packet.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err)
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{ComputeChecksums: true}, ip, tcp, gopacket.Payload(tcp.Payload)); err != nil {
		panic(err)
	}
	return append(b[:innerIP:innerIP], buf.Bytes()...)
}

// The workers share the rate of a service, which a reload does not fill up again.
func TestRateIsOfAllWorkers(t *testing.T) {
	a, streams := target(t)
	limited := forwarding(t, "", "1:8080", a)
	limited.MaxRate = 5
	r := startReloads(t, 4, 10*time.Second, limited)
	for i := range uint16(20) {
		if i == 10 {
			limited.Target.DialTimeout = time.Minute
			r.reload(Changes{Changed: []string{"1:8080"}}, limited)
		}
		r.give(wholeConnection(t, 1000+i, "whole")...)
	}
	for range 5 {
		wantStream(t, "the target", streams, "whole")
	}
	r.end()
	if s := r.Snapshot(); s.Stack.FlowsOpened != 5 || s.Services[0].OverRate != 15 || s.Stack.Dropped[outcome.DropOverRate] != 15*2 {
		t.Errorf("%d streams, %d connections left out with %d packets", s.Stack.FlowsOpened, s.Services[0].OverRate, s.Stack.Dropped[outcome.DropOverRate])
	}
}
