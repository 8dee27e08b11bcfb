package pipeline

import (
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"netmirror/bridge"
	"netmirror/service"
	"netmirror/source"
	"netmirror/source/sourcetest"
)

// vxlanVNI is where the VNI of a frame that segment made begins: behind the Ethernet,
// IPv4 and UDP headers and the flags.
const vxlanVNI = 14 + 20 + 8 + 4

// inNetwork is a frame in another network.
func inNetwork(frame []byte, vni uint32) []byte {
	b := slices.Clone(frame)
	binary.BigEndian.PutUint32(b[vxlanVNI:], vni<<8)
	return b
}

func selection(t *testing.T, text string) service.Selection {
	t.Helper()
	f, err := service.ParseForward(text + "=x")
	if err != nil {
		t.Fatal(err)
	}
	return f.Selection
}

// deadTarget refuses every connection.
func deadTarget(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// wholeConnection is the frames of a connection that sends a text and ends.
func wholeConnection(t *testing.T, client uint16, text string) [][]byte {
	return [][]byte{
		segment(t, client, 999, "S", ""), segment(t, client, 1000, "A", text), segment(t, client, 1000+uint32(len(text)), "AF", ""),
	}
}

// Two services, one of which has three targets: one is dead. Every other one gets every
// stream of its selection, and of nothing else.
func TestSeveralServicesAndTargets(t *testing.T) {
	first, firstStreams := target(t)
	second, secondStreams := target(t)
	other, otherStreams := target(t)
	c := testConfig(first, 2)
	c.Services = nil
	for _, s := range []struct{ selection, to string }{{"1:8080", first}, {"1:8080", deadTarget(t)}, {"1:8080", second}, {"2,3:1-9000", other}} {
		c.Services = append(c.Services, Service{Selection: selection(t, s.selection), Target: bridge.Config{Target: s.to, Retries: -1}})
	}
	p := opened(t, c)
	src := sourcetest.New(source.Ethernet, source.Wall)
	stop, ended := running(t, p, nil, src)
	defer stop()
	const n = 20
	var want, wantOther []string
	for i := range uint16(n) {
		text := strings.Repeat(string(rune('a'+i)), 1000)
		want = append(want, text)
		wantOther = append(wantOther, text, text)
		for _, frame := range wholeConnection(t, 40000+i, text) {
			// The same addresses in three networks, and one that is no service's.
			src.Give(time.Now(), [][]byte{frame, inNetwork(frame, 2), inNetwork(frame, 3), inNetwork(frame, 4)})
		}
	}
	for name, of := range map[string]struct {
		streams <-chan string
		want    []string
	}{"first": {firstStreams, want}, "second": {secondStreams, want}, "other": {otherStreams, wantOther}} {
		var got []string
		for range of.want {
			got = append(got, <-of.streams)
		}
		slices.Sort(got)
		slices.Sort(of.want)
		if !slices.Equal(got, of.want) {
			t.Errorf("%s target got other streams than its selection's", name)
		}
	}
	src.Stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	s := p.Snapshot()
	var streams []uint64
	for _, f := range s.Services {
		streams = append(streams, f.Bridge.Streams)
	}
	if !slices.Equal(streams, []uint64{n, n, n, 2 * n}) {
		t.Errorf("streams by service: %v", streams)
	}
	if s.Copies != 2*3*n {
		t.Errorf("%d copies of packets, want %d", s.Copies, 2*3*n)
	}
}

// A share of the clients, and a list of those to leave out, are kept for each service
// by itself; what is left out is counted.
func TestClientsAndSamples(t *testing.T) {
	all, allStreams := target(t)
	c := testConfig(all, 1)
	some := c.Services[0]
	var err error
	if some.Sample, err = service.NewSample("1/2", service.ByConnection, "key"); err != nil {
		t.Fatal(err)
	}
	none := c.Services[0]
	if none.Clients, err = service.NewClients(nil, []string{"192.0.2.0/31"}); err != nil {
		t.Fatal(err)
	}
	c.Services = append(c.Services, some, none)
	p := opened(t, c)
	src := sourcetest.New(source.Ethernet, source.Wall)
	stop, ended := running(t, p, nil, src)
	defer stop()
	const n = 64
	for i := range uint16(n) {
		src.Give(time.Now(), wholeConnection(t, 40000+i, fmt.Sprint("connection ", i)))
	}
	for range n {
		<-allStreams
	}
	src.Stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	s := p.Snapshot().Services
	if got := s[1].Bridge.Streams; got < n/4 || got > 3*n/4 || s[1].LeftOut[service.NotSampled] != 3*(n-got) {
		t.Errorf("of %d connections, %d are in the sample, %v packets left out", n, got, s[1].LeftOut)
	}
	if s[0].Bridge.Streams != n || s[2].Bridge.Streams != 0 || s[2].LeftOut[service.ExcludedClient] != 3*n {
		t.Errorf("streams %d and %d, left out %v", s[0].Bridge.Streams, s[2].Bridge.Streams, s[2].LeftOut)
	}
}
