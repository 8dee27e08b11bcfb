package decap

import "netmirror/outcome"

// Reason says what came of a frame: [OK], or the first thing found that makes
// it not ours or unreadable. It indexes an array of [NumReasons] counters.
type Reason uint8

// The reasons, from the outside of a frame in.
const (
	// OK: a TCP packet of the service, decapsulated.
	OK Reason = iota

	// OuterTruncated: the frame ends inside the outer Ethernet, IP or UDP
	// header, though the outer lengths say that there was more.
	OuterTruncated
	// OuterNotIP: the outer EtherType is neither IPv4 nor IPv6.
	OuterNotIP
	// OuterTooDeep: more VLAN tags or IPv6 extension headers than are followed.
	OuterTooDeep
	// OuterMalformed: an outer version or length that contradicts its header.
	OuterMalformed
	// OuterFragment: a fragment of an outer UDP packet. Reassembling is the
	// capture's work, before decapsulation.
	OuterFragment
	// OuterNotUDP: the outer packet carries something other than UDP, and than GRE
	// where the mirror may come in that.
	OuterNotUDP
	// OtherUDPPort: the UDP destination is none of the mirror's ports.
	OtherUDPPort

	// VXLANTruncated: the UDP payload is shorter than a VXLAN header.
	VXLANTruncated
	// VXLANNoVNI: the I flag is clear, so there is no valid VNI.
	VXLANNoVNI
	// VXLANMalformed: a version of VXLAN-GPE that is not 0.
	VXLANMalformed
	// GeneveTruncated: the UDP payload ends inside the GENEVE header or its options.
	GeneveTruncated
	// GeneveMalformed: a version of GENEVE that is not 0.
	GeneveMalformed
	// GRETruncated: the packet ends inside the GRE header.
	GRETruncated
	// GREMalformed: a GRE header of another version than 0, or with a source route.
	GREMalformed
	// ERSPANTruncated: the packet ends inside the ERSPAN header.
	ERSPANTruncated
	// ERSPANMalformed: an ERSPAN version that its GRE header contradicts.
	ERSPANMalformed
	// TZSPTruncated: the UDP payload ends inside the TZSP header or its fields.
	TZSPTruncated
	// TZSPMalformed: a version of TZSP that is not 1, or more fields than are followed.
	TZSPMalformed
	// ControlPacket: a packet that the encapsulation's ends have for each other.
	ControlPacket
	// OtherPayload: the encapsulation is not the one of the mirror, or carries neither
	// Ethernet nor IP.
	OtherPayload
	// OtherVNI: the VNI, session or key is not one of ours. No key with more than 24 bits is.
	OtherVNI

	// InnerTruncated: the mirrored frame was cut inside its Ethernet or IP
	// header.
	InnerTruncated
	// InnerNotIP: the inner EtherType is neither IPv4 nor IPv6, nor that of a layer
	// that IP is found behind.
	InnerNotIP
	// InnerTooDeep: as OuterTooDeep, for the mirrored frame; or more layers than are
	// followed.
	InnerTooDeep
	// InnerMalformed: an inner version or length that contradicts its header.
	InnerMalformed
	// InnerFragment: the mirrored packet is a fragment that carries TCP, or may,
	// and could not be put together with others for the headers before it.
	InnerFragment
	// InnerNotTCP: the mirrored packet carries something other than TCP.
	InnerNotTCP
	// TunnelTruncated: the mirrored packet was cut inside the header of a layer
	// between Ethernet and IP, or of a tunnel.
	TunnelTruncated
	// TunnelMalformed: such a header that contradicts itself or has no room.
	TunnelMalformed

	// OtherPort: neither TCP port is the service's.
	OtherPort
	// TCPTruncated: the mirror cut the packet inside its TCP header.
	TCPTruncated
	// TCPMalformed: the TCP header is shorter than 20 bytes or does not fit
	// into its IP packet.
	TCPMalformed

	// NumReasons is how many reasons there are, OK included.
	NumReasons
)

var reasons = [NumReasons]outcome.Words{
	OK:              {Name: "ok", Harmless: true},
	OuterTruncated:  broken("outer_truncated"),
	OuterNotIP:      other("outer_not_ip"),
	OuterTooDeep:    broken("outer_too_deep"),
	OuterMalformed:  broken("outer_malformed"),
	OuterFragment:   broken("outer_fragment"),
	OuterNotUDP:     other("outer_not_udp"),
	OtherUDPPort:    other("other_udp_port"),
	VXLANTruncated:  broken("vxlan_truncated"),
	VXLANNoVNI:      broken("vxlan_no_vni"),
	VXLANMalformed:  broken("vxlan_malformed"),
	GeneveTruncated: broken("geneve_truncated"),
	GeneveMalformed: broken("geneve_malformed"),
	GRETruncated:    broken("gre_truncated"),
	GREMalformed:    broken("gre_malformed"),
	ERSPANTruncated: broken("erspan_truncated"),
	ERSPANMalformed: broken("erspan_malformed"),
	TZSPTruncated:   broken("tzsp_truncated"),
	TZSPMalformed:   broken("tzsp_malformed"),
	ControlPacket:   other("control_packet"),
	OtherPayload:    other("other_payload"),
	OtherVNI:        other("other_vni"),
	InnerTruncated:  cut("inner_truncated", "cut by the mirror, in the headers"),
	InnerNotIP:      other("inner_not_ip"),
	InnerTooDeep:    broken("inner_too_deep"),
	InnerMalformed:  broken("inner_malformed"),
	InnerFragment:   broken("inner_fragment"),
	InnerNotTCP:     other("inner_not_tcp"),
	TunnelTruncated: cut("tunnel_truncated", "cut by the mirror, in the headers"),
	TunnelMalformed: broken("tunnel_malformed"),
	OtherPort:       other("other_port"),
	TCPTruncated:    cut("tcp_truncated", "cut by the mirror, in the TCP header"),
	TCPMalformed:    broken("tcp_malformed"),
}

// other is for a packet that is certainly not ours.
func other(name string) outcome.Words { return outcome.Words{Name: name, Harmless: true} }

// broken is for a packet that may have been ours but could not be read.
func broken(name string) outcome.Words {
	return outcome.Words{Name: name, Shown: "could not be read", Remedy: outcome.ProblemBroken.Remedy()}
}

// cut is for one that the mirror has cut.
func cut(name, shown string) outcome.Words {
	return outcome.Words{Name: name, Shown: shown, Remedy: outcome.ProblemTruncated.Remedy()}
}

// Words describe r to users. A packet that is not ours is harmless.
func (r Reason) Words() outcome.Words {
	if r < NumReasons {
		return reasons[r]
	}
	return other("unknown")
}

// String gives the reason in snake_case, fit for a metric label ("other_vni");
// "unknown" for a value that is none.
func (r Reason) String() string { return r.Words().Name }

// Broken reports whether the packet may have been ours but could not be read (cut,
// malformed, a fragment). It is false for a packet that is certainly not ours, and for
// [OK].
func (r Reason) Broken() bool { return !r.Words().Harmless }

// Cut reports whether the mirror cut the packet before its TCP payload.
func (r Reason) Cut() bool { return r == InnerTruncated || r == TunnelTruncated || r == TCPTruncated }
