package stack

import (
	"net/netip"
	"slices"
	"testing"

	"netmirror/service"
	"netmirror/stack/netstack"
)

// Services may have more ports than there are listeners, and the same connection may be
// several services'.
func TestManyPortsAndServices(t *testing.T) {
	const ports = netstack.MaxListeners + 20
	s := newTestStack(t, func(c *Config) { c.Services = make([]Service, 2) })
	var want []string
	for i := range ports {
		for id := range s.services {
			c := newClient(t, 1)
			c.dst = netip.AddrPortFrom(c.dst.Addr(), uint16(9000+i))
			text := string(rune('a'+id)) + c.dst.String()
			want = append(want, text)
			segs := append(c.opening(), c.data(0, []byte(text)), c.fin(len(text)))
			for j := range segs {
				segs[j].Service = service.ID(id)
			}
			s.Inject(segs)
		}
	}
	var got []string
	for range want {
		conn := accept(t, s)
		text, err := readAll(t, conn)
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, string(text)); string(text[1:]) != conn.LocalAddr().String() || int(conn.Service()) != int(text[0]-'a') {
			t.Fatalf("%q is of %v and service %d", text, conn.LocalAddr(), conn.Service())
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Error("the streams are others than were sent")
	}
}
