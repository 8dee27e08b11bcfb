package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"testing"

	"netmirror/e2e/lab"
	"netmirror/wire/wiretest"
)

// malformed is what comes to the mirror's ports and is of no use; each is counted by its
// reason. Port 0 stands for GRE.
var malformed = []struct {
	port    uint16
	payload []byte
	reason  string
}{
	{4789, []byte{8, 0, 0}, "vxlan_truncated"},
	{4789, make([]byte, 60), "vxlan_no_vni"},
	{4790, append([]byte{0x1c}, make([]byte, 60)...), "vxlan_malformed"},
	{4790, []byte{0x0c, 0, 0, 3}, "vxlan_truncated"},
	{6081, wiretest.Geneve(42, 0x6558)[:7], "geneve_truncated"},
	{6081, append([]byte{63}, wiretest.Geneve(42, 0x6558)[1:]...), "geneve_truncated"},
	{6081, append([]byte{0xc0}, make([]byte, 60)...), "geneve_malformed"},
	{6081, append([]byte{0, 0x80}, make([]byte, 60)...), "control_packet"},
	{6081, wiretest.Geneve(42, 0x0806), "other_payload"},
	{6081, wiretest.Geneve(7, 0x6558, make([]byte, 252)...), "other_vni"},
	{6081, append(wiretest.Geneve(42, 0x6558), 1, 2, 3), "inner_truncated"},
	{37008, []byte{1, 0}, "tzsp_truncated"},
	{37008, []byte{2, 0, 0, 1, 1}, "tzsp_malformed"},
	{37008, append([]byte{1, 0, 0, 1}, make([]byte, 1000)...), "tzsp_malformed"},
	{0, []byte{0, 0}, "gre_truncated"},
	{0, []byte{0, 1, 0x65, 0x58, 0, 0, 0, 0}, "gre_malformed"},
	{0, []byte{0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10}, "erspan_truncated"},
	{0, append([]byte{0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x70}, make([]byte, 60)...), "erspan_malformed"},
}

// Malformed packets of each encapsulation are counted by reason, by either way to capture,
// and the service beside them is forwarded.
func TestMalformedPackets(t *testing.T) {
	for _, capture := range []string{"ring", "udp"} {
		t.Run(capture, func(t *testing.T) {
			s := setServices(t, lab.Options{}, nil)
			args := []string{"--capture", capture, "--iface", lab.MirrorLink, "--vni", "42", "--port", fmt.Sprint(servicePort), "--to", s.Shadow(shadowPort).String()}
			s.netmirror = startCommand(t, s.Mon, exec.Command(netmirrorPath, args...))
			s.ready(t)
			want := map[string]int64{}
			for _, m := range malformed {
				if m.port == 0 && capture == "udp" {
					continue
				}
				s.sendTo(t, m.port, m.payload)
				want["drop_"+m.reason]++
			}
			if err := connections(20, 4, 3, 4<<10)(s.ctx, s.client); err != nil {
				t.Fatalf("lab: %v", err)
			}
			s.compare(t)
			got := s.netmirror.final(t)
			for reason, n := range want {
				if got[reason] != n {
					t.Errorf("%s is %d, want %d", reason, got[reason], n)
				}
			}
		})
	}
}

// sendTo sends a mirror packet, of GRE for port 0.
func (s *scene) sendTo(t *testing.T, port uint16, payload []byte) {
	t.Helper()
	tap := s.Tap().Addr()
	err := s.Srv.Do(func() error {
		var conn net.Conn
		var err error
		if port == 0 {
			conn, err = net.DialIP("ip4:47", nil, &net.IPAddr{IP: tap.AsSlice()})
		} else {
			conn, err = net.Dial("udp", netip.AddrPortFrom(tap, port).String())
		}
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write(payload)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
