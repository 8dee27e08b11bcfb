package decap

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
	// OtherVNI: the VNI, session or key is not one of ours.
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

var reasons = [NumReasons]struct {
	name   string
	broken bool
}{
	OK:              {"ok", false},
	OuterTruncated:  {"outer_truncated", true},
	OuterNotIP:      {"outer_not_ip", false},
	OuterTooDeep:    {"outer_too_deep", true},
	OuterMalformed:  {"outer_malformed", true},
	OuterFragment:   {"outer_fragment", true},
	OuterNotUDP:     {"outer_not_udp", false},
	OtherUDPPort:    {"other_udp_port", false},
	VXLANTruncated:  {"vxlan_truncated", true},
	VXLANNoVNI:      {"vxlan_no_vni", true},
	VXLANMalformed:  {"vxlan_malformed", true},
	GeneveTruncated: {"geneve_truncated", true},
	GeneveMalformed: {"geneve_malformed", true},
	GRETruncated:    {"gre_truncated", true},
	GREMalformed:    {"gre_malformed", true},
	ERSPANTruncated: {"erspan_truncated", true},
	ERSPANMalformed: {"erspan_malformed", true},
	TZSPTruncated:   {"tzsp_truncated", true},
	TZSPMalformed:   {"tzsp_malformed", true},
	ControlPacket:   {"control_packet", false},
	OtherPayload:    {"other_payload", false},
	OtherVNI:        {"other_vni", false},
	InnerTruncated:  {"inner_truncated", true},
	InnerNotIP:      {"inner_not_ip", false},
	InnerTooDeep:    {"inner_too_deep", true},
	InnerMalformed:  {"inner_malformed", true},
	InnerFragment:   {"inner_fragment", true},
	InnerNotTCP:     {"inner_not_tcp", false},
	TunnelTruncated: {"tunnel_truncated", true},
	TunnelMalformed: {"tunnel_malformed", true},
	OtherPort:       {"other_port", false},
	TCPTruncated:    {"tcp_truncated", true},
	TCPMalformed:    {"tcp_malformed", true},
}

// String gives the reason in snake_case, fit for a metric label ("other_vni");
// "unknown" for a value that is none.
func (r Reason) String() string {
	if r >= NumReasons {
		return "unknown"
	}
	return reasons[r].name
}

// Broken tells a packet that may have been ours but could not be read (cut,
// malformed, a fragment) from one that is certainly not ours. It is false for
// [OK].
func (r Reason) Broken() bool {
	return r < NumReasons && reasons[r].broken
}
