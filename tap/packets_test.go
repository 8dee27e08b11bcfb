package tap

import (
	"netmirror/wire"
	"netmirror/wire/wiretest"
)

const (
	v4 = wiretest.V4
	v6 = wiretest.V6
)

// What tests make packets with.
var (
	must, packet, ether, ip4, ip6, udpTo = wiretest.Must, wiretest.Packet, wiretest.Ether, wiretest.IP4, wiretest.IP6, wiretest.UDPTo

	hopByHop, fragHeader, families  = wiretest.HopByHop, wiretest.FragHeader, wiretest.Families
	datagramOf, mirrored, payloadOf = wiretest.DatagramOf, wiretest.Mirrored, wiretest.PayloadOf

	monMAC, mon4, mon6    = wiretest.MonMAC, wiretest.Mon4, wiretest.Mon6
	peerMAC, peer4, peer6 = wiretest.PeerMAC, wiretest.Peer4, wiretest.Peer6
)

// vxlanAt is a mirror that sends VXLAN to one port.
func vxlanAt(port uint16) wire.Mirror {
	return wire.Mirror{Encap: wire.EncapVXLAN, Ports: []uint16{port}}
}
