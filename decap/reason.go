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
	// OuterNotUDP: the outer packet carries something other than UDP.
	OuterNotUDP
	// OtherUDPPort: the UDP destination is not the VXLAN port.
	OtherUDPPort

	// VXLANTruncated: the UDP payload is shorter than a VXLAN header.
	VXLANTruncated
	// VXLANNoVNI: the I flag is clear, so there is no valid VNI.
	VXLANNoVNI
	// OtherVNI: the VNI is not one of ours.
	OtherVNI

	// InnerTruncated: the mirrored frame was cut inside its Ethernet or IP
	// header.
	InnerTruncated
	// InnerNotIP: the inner EtherType is neither IPv4 nor IPv6.
	InnerNotIP
	// InnerTooDeep: as OuterTooDeep, for the mirrored frame.
	InnerTooDeep
	// InnerMalformed: an inner version or length that contradicts its header.
	InnerMalformed
	// InnerFragment: the mirrored packet is a fragment that carries TCP, or may,
	// and could not be put together with others for the headers before it.
	InnerFragment
	// InnerNotTCP: the mirrored packet carries something other than TCP.
	InnerNotTCP

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
	OK:             {"ok", false},
	OuterTruncated: {"outer_truncated", true},
	OuterNotIP:     {"outer_not_ip", false},
	OuterTooDeep:   {"outer_too_deep", true},
	OuterMalformed: {"outer_malformed", true},
	OuterFragment:  {"outer_fragment", true},
	OuterNotUDP:    {"outer_not_udp", false},
	OtherUDPPort:   {"other_udp_port", false},
	VXLANTruncated: {"vxlan_truncated", true},
	VXLANNoVNI:     {"vxlan_no_vni", true},
	OtherVNI:       {"other_vni", false},
	InnerTruncated: {"inner_truncated", true},
	InnerNotIP:     {"inner_not_ip", false},
	InnerTooDeep:   {"inner_too_deep", true},
	InnerMalformed: {"inner_malformed", true},
	InnerFragment:  {"inner_fragment", true},
	InnerNotTCP:    {"inner_not_tcp", false},
	OtherPort:      {"other_port", false},
	TCPTruncated:   {"tcp_truncated", true},
	TCPMalformed:   {"tcp_malformed", true},
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
