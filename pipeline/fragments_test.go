package pipeline

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"netmirror/decap"
	"netmirror/defrag"
	"netmirror/service/servicetest"
	"netmirror/source"
	"netmirror/wire"
	"netmirror/wire/wiretest"
)

// mirroredFragments are the frames in which a TCP packet from a client to port comes,
// in two fragments, and the packet.
func mirroredFragments(t *testing.T, ip6 bool, vni uint32, port layers.TCPPort, fill byte) (frames [2][]byte, whole []byte) {
	t.Helper()
	four := &layers.IPv4{Version: 4, TTL: 64, Id: 7, Protocol: layers.IPProtocolTCP,
		SrcIP: net.IP{192, 0, 2, 1}, DstIP: net.IP{192, 0, 2, 2}}
	six := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP,
		SrcIP: net.ParseIP("2001:db8::1"), DstIP: net.ParseIP("2001:db8::2")}
	seg := &layers.TCP{SrcPort: 40000, DstPort: port, ACK: true}
	var header gopacket.SerializableLayer = four
	if ip6 {
		header = six
	}
	if err := seg.SetNetworkLayerForChecksum(header.(gopacket.NetworkLayer)); err != nil {
		t.Fatal(err)
	}
	whole = wiretest.Serialize(t, header, seg, gopacket.Payload(bytes.Repeat([]byte{fill}, 2000)))
	data := whole[len(whole)-2020:]
	const cut = 1000
	for i, part := range [][]byte{data[:cut], data[cut:]} {
		typ, headers := layers.EthernetTypeIPv4, []gopacket.SerializableLayer{four}
		four.FragOffset, four.Flags = uint16(i*cut/8), layers.IPv4MoreFragments*layers.IPv4Flag(1-i)
		if ip6 {
			typ, six.NextHeader = layers.EthernetTypeIPv6, layers.IPProtocolIPv6Fragment
			at := i * cut
			headers = []gopacket.SerializableLayer{six, gopacket.Payload{6, 0, byte(at >> 8), byte(at) | byte(1-i), 0, 0, 0, 9}}
		}
		eth := &layers.Ethernet{SrcMAC: make(net.HardwareAddr, 6), DstMAC: make(net.HardwareAddr, 6), EthernetType: typ}
		outerEth := *eth
		outerEth.EthernetType = layers.EthernetTypeIPv4
		outer := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IP{10, 0, 0, 1}, DstIP: net.IP{10, 0, 0, 2}}
		udp := &layers.UDP{SrcPort: 50000, DstPort: 4789}
		if err := udp.SetNetworkLayerForChecksum(outer); err != nil {
			t.Fatal(err)
		}
		all := append([]gopacket.SerializableLayer{&outerEth, outer, udp, &layers.VXLAN{ValidIDFlag: true, VNI: vni}, eth}, headers...)
		frames[i] = wiretest.Serialize(t, append(all, gopacket.Payload(part))...)
	}
	return frames, whole
}

func decodingPipeline(t *testing.T) *Pipeline {
	t.Helper()
	d, err := decap.New(decap.Config{Services: servicetest.Only(8080, 1, 2)})
	if err != nil {
		t.Fatal(err)
	}
	p := &Pipeline{outer: newFragments(defrag.Outer(wire.Mirror{}), time.Now), parts: newFragments(defrag.Inner(), time.Now)}
	p.table.Store(&table{decoder: d})
	return p
}

// The fragments of two networks, which have the same addresses and identification,
// in turn.
func TestFragmentsOfMirroredPackets(t *testing.T) {
	for name, ip6 := range map[string]bool{"IPv4": false, "IPv6": true} {
		t.Run(name, func(t *testing.T) {
			p := decodingPipeline(t)
			one, whole1 := mirroredFragments(t, ip6, 1, 8080, 'a')
			two, whole2 := mirroredFragments(t, ip6, 2, 8080, 'b')
			var packet decap.Packet
			var memory []byte
			for _, frame := range [][]byte{one[1], two[0]} {
				if p.decode(p.table.Load().decoder, frame, source.Ethernet, &packet, &memory) {
					t.Fatal("a fragment went on alone")
				}
			}
			if s := p.parts.stats(); s.FragmentsHeld != 2 {
				t.Errorf("%+v", s)
			}
			var got []decap.Packet
			for _, frame := range [][]byte{two[1], one[0]} {
				if !p.decode(p.table.Load().decoder, frame, source.Ethernet, &packet, &memory) {
					t.Fatal("the last fragment did not bring the packet")
				}
				got = append(got, packet)
			}
			for i, want := range []struct {
				vni uint32
				ip  []byte
			}{{2, whole2}, {1, whole1}} {
				if got[i].VNI != want.vni || !bytes.Equal(got[i].IP, want.ip) || got[i].TCP != len(want.ip)-2020 || got[i].Truncated || got[i].From != nil {
					t.Errorf("VNI %d, %d bytes, TCP at %d; want VNI %d, %d bytes", got[i].VNI, len(got[i].IP), got[i].TCP, want.vni, len(want.ip))
				}
			}
			if owner(&got[0], 7) != owner(&decap.Packet{IP: whole2, TCP: len(whole2) - 2020}, 7) {
				t.Error("another worker has what came in fragments")
			}
			if s := p.parts.stats(); s.Reassembled != 2 || s.FragmentsReassembled != 4 || s.FragmentsHeld != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// What is joined may be another service's; what is not is dropped at the end.
func TestFragmentsThatAreNotForwarded(t *testing.T) {
	p := decodingPipeline(t)
	other, _ := mirroredFragments(t, false, 1, 443, 'a')
	lost, _ := mirroredFragments(t, true, 1, 8080, 'a')
	var packet decap.Packet
	var memory []byte
	for _, frame := range [][]byte{other[0], other[1], lost[1]} {
		if p.decode(p.table.Load().decoder, frame, source.Ethernet, &packet, &memory) {
			t.Fatalf("went on: %+v", packet)
		}
	}
	if n := p.counts.reasons[decap.OtherPort].Load(); n != 1 {
		t.Errorf("%d packets of another port", n)
	}
	p.parts.flush()
	if s := p.parts.stats(); s.FragmentsReceived != 3 || s.FragmentsReassembled != 2 || s.FragmentsDropped[0] != 1 || s.FragmentsHeld != 0 {
		t.Errorf("%+v", s)
	}
}

// outerFragments is a frame of the mirror, in two fragments of its IPv4 packet.
func outerFragments(t *testing.T, frame []byte) (first, second []byte) {
	t.Helper()
	const ethernet, header, cut = 14, 20, 800
	for i, part := range [][]byte{frame[ethernet+header : ethernet+header+cut], frame[ethernet+header+cut:]} {
		ip := &layers.IPv4{Version: 4, TTL: 64, Id: 5, Protocol: layers.IPProtocolUDP, SrcIP: net.IP{10, 0, 0, 1}, DstIP: net.IP{10, 0, 0, 2},
			FragOffset: uint16(i * cut / 8), Flags: layers.IPv4MoreFragments * layers.IPv4Flag(1-i)}
		eth := &layers.Ethernet{SrcMAC: make(net.HardwareAddr, 6), DstMAC: make(net.HardwareAddr, 6), EthernetType: layers.EthernetTypeIPv4}
		first, second = second, wiretest.Serialize(t, eth, ip, gopacket.Payload(part))
	}
	return first, second
}

// A source may hand out the mirror's packets in fragments, of fragments.
func TestFragmentsOfTheMirrorsPackets(t *testing.T) {
	p := decodingPipeline(t)
	inner, whole := mirroredFragments(t, false, 1, 8080, 'a')
	one, two := outerFragments(t, inner[0])
	three, four := outerFragments(t, inner[1])
	var packet decap.Packet
	var memory []byte
	for _, frame := range [][]byte{two, one, three} {
		if p.decode(p.table.Load().decoder, frame, source.Ethernet, &packet, &memory) {
			t.Fatal("a fragment went on alone")
		}
	}
	if !p.decode(p.table.Load().decoder, four, source.Ethernet, &packet, &memory) || packet.VNI != 1 || !bytes.Equal(packet.IP, whole) {
		t.Errorf("VNI %d, %d bytes; want VNI 1, %d bytes", packet.VNI, len(packet.IP), len(whole))
	}
	if s := p.sourceStats(); s.FragmentsReceived != 4 || s.Reassembled != 2 || s.FragmentsHeld != 0 {
		t.Errorf("%+v", s.FragmentStats)
	}
	if n := p.counts.reasons[decap.OuterFragment].Load(); n != 0 {
		t.Errorf("%d frames count as fragments that were never joined", n)
	}
}
