package decap_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netmirror/decap"
	"netmirror/service/servicetest"
	"netmirror/wire"
)

// accepted is a frame that must be taken, and what must come out of it.
type accepted struct {
	name  string
	frame []byte
	want  decap.Packet
}

func testAccepted(t *testing.T, rows []accepted) {
	t.Helper()
	d := newDecoder(t)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var got decap.Packet
			before := bytes.Clone(row.frame)
			if r := d.Decode(row.frame, &got); r != decap.OK {
				t.Fatalf("reason is %v", r)
			}
			if diff := cmp.Diff(row.want, got, cmp.Comparer(bytes.Equal)); diff != "" {
				t.Errorf("packet (-want +got):\n%s", diff)
			}
			if !bytes.Equal(before, row.frame) {
				t.Error("the frame was changed")
			}
			if cap(got.IP) != len(got.IP) {
				t.Errorf("IP has %d spare bytes: an append would overwrite the frame", cap(got.IP)-len(got.IP))
			}
			checkParts(t, row.frame, got, decap.OK)
		})
	}
}

// refused is a frame that must not be taken, and why.
type refused struct {
	name  string
	frame []byte
	want  decap.Reason
}

func testRefused(t *testing.T, rows []refused) {
	t.Helper()
	d := newDecoder(t)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			untouched := decap.Packet{VNI: 7, TCP: 7, Truncated: true}
			p := untouched
			if r := d.Decode(row.frame, &p); r != row.want {
				t.Errorf("reason is %v, want %v", r, row.want)
			}
			if row.want == decap.InnerFragment {
				checkFragment(t, d, row.frame, p)
				p = untouched
			}
			if diff := cmp.Diff(untouched, p); diff != "" {
				t.Errorf("a refused frame wrote the packet:\n%s", diff)
			}
			checkParts(t, row.frame, p, row.want)
		})
	}
}

// checkFragment: of a fragment the packet is the end of the frame, and a fragment
// for DecodeIP too.
func checkFragment(t *testing.T, d *decap.Decoder, frame []byte, p decap.Packet) {
	t.Helper()
	if p.TCP != 0 || p.Truncated || p.To != nil || p.From != nil || !bytes.HasSuffix(frame, p.IP) || cap(p.IP) != len(p.IP) {
		t.Fatalf("the fragment is %+v", p)
	}
	again := p
	if r := d.DecodeIP(p.VNI, p.IP, &again); r != decap.InnerFragment {
		t.Fatalf("by itself the fragment is %v", r)
	}
	if diff := cmp.Diff(p, again); diff != "" {
		t.Fatalf("the fragment was written to:\n%s", diff)
	}
}

func TestNew(t *testing.T) {
	rows := []struct {
		name   string
		config decap.Config
		want   error
	}{
		{"smallest", decap.Config{Services: servicetest.Only(1, 0)}, nil},
		{"largest", decap.Config{Mirror: wire.Mirror{Ports: []uint16{65535}}, Services: servicetest.Only(65535, 1<<24-1)}, nil},
		{"a VNI given twice", decap.Config{Services: servicetest.Only(80, 5, 5)}, nil},
		{"no services", decap.Config{}, decap.ErrNoServices},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			d, err := decap.New(row.config)
			if !errors.Is(err, row.want) || (d == nil) != (row.want != nil) {
				t.Errorf("got %v, %v; want error %v", d, err, row.want)
			}
		})
	}
}

func TestNewKeepsNoReferenceToItsVNIs(t *testing.T) {
	vnis := []uint32{testVNI, 1}
	d, err := decap.New(decap.Config{Services: servicetest.Only(testPort, vnis...)})
	if err != nil {
		t.Fatal(err)
	}
	if vnis[0] != testVNI || vnis[1] != 1 {
		t.Errorf("New reordered the caller's slice: %v", vnis)
	}
	vnis[0] = 9
	var p decap.Packet
	if r := d.Decode(ours4(t), &p); r != decap.OK {
		t.Errorf("after changing the caller's slice the reason is %v", r)
	}
}

func TestPorts(t *testing.T) {
	from := func(src, dst uint16) []byte {
		b := set16(ours4(t), atInnerTCP, src)
		return set16(b, atInnerTCP+2, dst)
	}
	whole := func(frame []byte, fromServer bool) decap.Packet {
		p := decap.Packet{VNI: testVNI, IP: frame[atInnerIP:], TCP: 20, To: toOne}
		if fromServer {
			p.To, p.From = nil, p.To
		}
		return p
	}
	request, reply, both := from(clientPort, testPort), from(testPort, clientPort), from(testPort, testPort)
	either := whole(both, false)
	either.From = toOne
	testAccepted(t, []accepted{
		{"to the service", request, whole(request, false)},
		{"from the service", reply, whole(reply, true)},
		{"service port on both ends is to and from the service", both, either},
	})
	testRefused(t, []refused{
		{"neither port is the service's", from(clientPort, testPort+1), decap.OtherPort},
		{"the service's port with its bytes swapped", from(clientPort, 0x901f), decap.OtherPort},
	})
}

func TestUDPPortIsConfigurable(t *testing.T) {
	d, err := decap.New(decap.Config{Mirror: wire.Mirror{Ports: []uint16{8472}}, Services: servicetest.Only(testPort, testVNI)})
	if err != nil {
		t.Fatal(err)
	}
	var p decap.Packet
	if r := d.Decode(set16(ours4(t), atOuterUDP+2, 8472), &p); r != decap.OK {
		t.Errorf("on the port given the reason is %v", r)
	}
	if r := d.Decode(ours4(t), &p); r != decap.OtherUDPPort {
		t.Errorf("on the port not given the reason is %v", r)
	}
}
