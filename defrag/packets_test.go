package defrag

import "netmirror/wire/wiretest"

const (
	v4 = wiretest.V4
	v6 = wiretest.V6
)

type family = wiretest.Family

// What tests make packets with.
var (
	packet, ether, ip4, ip6, udpTo = wiretest.Packet, wiretest.Ether, wiretest.IP4, wiretest.IP6, wiretest.UDPTo

	hopByHop, fragHeader, routerAlert, families = wiretest.HopByHop, wiretest.FragHeader, wiretest.RouterAlert, wiretest.Families
	datagramOf, mirrored, payloadOf             = wiretest.DatagramOf, wiretest.Mirrored, wiretest.PayloadOf
	withID                                      = wiretest.WithID
)
