package wiretest

// The headers of tunnels that gopacket does not write, by hand.

import (
	"encoding/binary"
	"slices"
)

// Geneve is a header with options (RFC 8926, section 3.4).
func Geneve(vni uint32, carries uint16, options ...byte) []byte {
	b := []byte{byte(len(options) / 4), 0, byte(carries >> 8), byte(carries)}
	return append(binary.BigEndian.AppendUint32(b, vni<<8), options...)
}

// AWSOptions are those of a Gateway Load Balancer: class 0x0108, types 1 to 3.
var AWSOptions = slices.Concat(
	[]byte{0x01, 0x08, 1, 2, 1, 2, 3, 4, 5, 6, 7, 8}, []byte{0x01, 0x08, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0}, []byte{0x01, 0x08, 3, 1, 9, 9, 9, 9})

// GPE is a VXLAN-GPE header (draft-ietf-nvo3-vxlan-gpe, section 3).
func GPE(vni uint32, next byte) []byte {
	return binary.BigEndian.AppendUint32([]byte{0x0c, 0, 0, next}, vni<<8)
}

// NSH is a network service header of MD type 1 (RFC 8300, section 2).
func NSH(next byte) []byte {
	return slices.Concat([]byte{0x0f, 0xc6, 1, next, 0, 0, 1, 255}, make([]byte, 16))
}

// ERSPAN3 is a header of type III (draft-foschiano-erspan-03, section 4.3), with
// a subheader or not.
func ERSPAN3(session uint16, frameType byte, sub ...byte) []byte {
	b := []byte{0x20, 100, 0, 0, 1, 2, 3, 4, 0, 0, frameType << 2, 0}
	binary.BigEndian.PutUint16(b[2:], session)
	if len(sub) > 0 {
		b[11] = 1
	}
	return append(b, sub...)
}

// TZSP is a header with fields: a signal strength, padding, the end.
func TZSP() []byte { return []byte{1, 0, 0, 1, 10, 1, 0xc0, 0, 0, 41, 2, 5, 6, 1} }

// SNAP is an 802.3 frame with LLC and SNAP in front of payload (RFC 1042).
func SNAP(carries uint16, payload []byte) []byte {
	b := slices.Concat(MonMAC, PeerMAC, []byte{0, 0, 0xaa, 0xaa, 3, 0, 0, 0, byte(carries >> 8), byte(carries)}, payload)
	binary.BigEndian.PutUint16(b[12:], uint16(len(b)-14))
	return b
}

// PPPoE is the headers of PPPoE and PPP (RFC 2516, section 4).
func PPPoE(carries uint16, payload []byte) []byte {
	b := []byte{0x11, 0, 0, 7, 0, 0, byte(carries >> 8), byte(carries)}
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)+2))
	return append(b, payload...)
}
