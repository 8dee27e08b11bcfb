package udp

import (
	"cmp"
	"encoding/binary"
	"net"
	"slices"
	"testing"

	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"

	"netmirror/filter"
	"netmirror/service"
	"netmirror/wire/wiretest"
)

const (
	ourVNI  = 42
	ourPort = 8080
)

// mirrored is a VXLAN datagram (RFC 7348, section 5) of a TCP packet between client and
// a server.
func mirrored(t testing.TB, vni int, client int, fromServer bool, port int) []byte {
	t.Helper()
	c, s := net.IPv4(10, 0, byte(client>>8), byte(client)), net.IPv4(10, 9, 9, 9)
	tcp := &layers.TCP{SrcPort: layers.TCPPort(30000 + client), DstPort: layers.TCPPort(port), ACK: true}
	if fromServer {
		c, s, tcp.SrcPort, tcp.DstPort = s, c, tcp.DstPort, tcp.SrcPort
	}
	ip := wiretest.IP4(func(h *layers.IPv4) { h.Protocol, h.SrcIP, h.DstIP = layers.IPProtocolTCP, c, s })
	frame := wiretest.Packet(t, wiretest.Ether(layers.EthernetTypeIPv4), ip, tcp, payload(client%50, byte(client)))
	return slices.Concat([]byte{8, 0, 0, 0, 0, byte(vni >> 8), byte(vni), 0}, frame)
}

// hash is the FlowHash of what mirrored gives.
func hash(datagram []byte) uint32 {
	ip := datagram[8+14:]
	return filter.FlowHash(ip[12:16], ip[16:20], binary.BigEndian.Uint16(ip[20:]), binary.BigEndian.Uint16(ip[22:]))
}

func byConnection(a, b []byte) int {
	if min(len(a), len(b)) < 50 {
		return len(a) - len(b)
	}
	return cmp.Compare(hash(a), hash(b))
}

// Connections are shared by their hash, whatever port the mirror sends from, and what is
// not ours goes nowhere and is no drop.
func TestShare(t *testing.T) {
	for _, to := range []net.IP{to4, to6} {
		for _, n := range []int{1, 2, 3} {
			all := open(t, Config{VNIs: []uint32{ourVNI, 43}, InnerPorts: service.PortsOf(ourPort), Interfaces: []string{"lo"}}, n)
			want := make([][][]byte, n)
			for client := range 200 {
				c := sender(t, all[0], to)
				for _, fromServer := range []bool{false, true} {
					d := mirrored(t, ourVNI+client%2, client, fromServer, ourPort)
					want[hash(d)%uint32(n)] = append(want[hash(d)%uint32(n)], d)
					send(t, c, d, mirrored(t, 7, client, fromServer, ourPort), mirrored(t, ourVNI, client, fromServer, 443))
				}
				c.Close()
			}
			short := payload(3, 1) // nothing tells whose it is
			send(t, sender(t, all[0], to), short)
			want[0] = append(want[0], short)
			for i, r := range all {
				got := rest(t, r)
				// Several sockets of a receiver have connections each; it is in the order of
				// each connection that they come.
				slices.SortStableFunc(got, byConnection)
				slices.SortStableFunc(want[i], byConnection)
				equal(t, got, want[i])
				if s := r.Stats(); s.Drops != 0 || s.Packets != uint64(len(want[i])) {
					t.Errorf("%d of %d: %+v", i, n, s)
				}
			}
		}
	}
}

// Several datagrams in one, of which the first is another service's, are all there.
func TestShareAggregates(t *testing.T) {
	r := open(t, Config{VNIs: []uint32{ourVNI}, InnerPorts: service.PortsOf(ourPort)}, 1)[0]
	other, ours := mirrored(t, 7, 50, false, ourPort), mirrored(t, ourVNI, 100, false, ourPort)
	c := sender(t, r, to4)
	set(t, c, unix.SOL_UDP, unix.UDP_SEGMENT, len(other))
	send(t, c, slices.Concat(other, ours))
	equal(t, rest(t, r), [][]byte{other, ours})
}
