package lab

import (
	"net/netip"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Segment is one TCP segment that the mirror link carried.
type Segment struct {
	VNI           uint32
	Src, Dst      netip.AddrPort
	Seq           uint32
	SYN, FIN, RST bool
	Payload       []byte // aliases the sniffed packet
}

// Mirrored returns the TCP segment in a sniffed packet. ok is false for all other
// packets, and for outer fragments.
func Mirrored(packet []byte) (s Segment, ok bool) {
	outer := gopacket.NewPacket(packet, layers.LayerTypeEthernet, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	vxlan, _ := outer.Layer(layers.LayerTypeVXLAN).(*layers.VXLAN)
	if vxlan == nil {
		return s, false
	}
	inner := gopacket.NewPacket(vxlan.LayerPayload(), layers.LayerTypeEthernet, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	tcp, _ := inner.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if tcp == nil {
		return s, false
	}
	ends := inner.NetworkLayer().NetworkFlow()
	src, _ := netip.AddrFromSlice(ends.Src().Raw())
	dst, _ := netip.AddrFromSlice(ends.Dst().Raw())
	return Segment{
		VNI: vxlan.VNI,
		Src: netip.AddrPortFrom(src, uint16(tcp.SrcPort)), Dst: netip.AddrPortFrom(dst, uint16(tcp.DstPort)),
		Seq: tcp.Seq, SYN: tcp.SYN, FIN: tcp.FIN, RST: tcp.RST,
		Payload: tcp.Payload,
	}, true
}
