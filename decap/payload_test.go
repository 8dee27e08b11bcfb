package decap_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"netmirror/decap"
	"netmirror/wire"
)

// What a UDP socket gives begins with the VXLAN header.
func TestPayloadOfVXLAN(t *testing.T) {
	d := newDecoder(t)
	v4, v6 := ours4(t), ours6(t)
	const headers6 = 14 + 40 + 8
	for _, row := range []struct {
		name    string
		payload []byte
		want    decap.Reason
		ip      []byte
	}{
		{"over IPv4", v4[atVXLAN:], decap.OK, v4[atInnerIP:]},
		{"over IPv6", v6[headers6:], decap.OK, v6[headers6+8+14:]},
		{"another VNI", set(v4, atVXLAN+6, 99)[atVXLAN:], decap.OtherVNI, nil},
		{"another port", set16(v4, atInnerTCP+2, 443)[atVXLAN:], decap.OtherPort, nil},
		{"shorter than its header", v4[atVXLAN : atVXLAN+7], decap.VXLANTruncated, nil},
		{"empty", nil, decap.VXLANTruncated, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			var p decap.Packet
			if r := d.DecodePayload(wire.EncapVXLAN, row.payload, &p); r != row.want || !bytes.Equal(p.IP, row.ip) {
				t.Errorf("%v, %+v", r, p)
			}
			if row.want == decap.OK && (p.VNI != testVNI || p.Truncated) {
				t.Errorf("%+v", p)
			}
		})
	}
}

// What comes over UDP is the same packet by its payload as by its frame, for every
// encapsulation, and as broken where it is cut.
func TestDecodePayload(t *testing.T) {
	d, o := newDecoder(t), newProbe(t)
	encaps := map[string]int{}
	for _, l := range outsides(t) {
		payload, encap, ok := payloadOf(t, l.frame)
		if !ok {
			continue
		}
		encaps[encap.String()]++
		var p decap.Packet
		if r := d.DecodePayload(encap, payload, &p); r != decap.OK || !bytes.Equal(p.IP, l.ip) || p.VNI != l.vni || p.Truncated {
			t.Errorf("%s: %v, %+v", l.name, r, p)
		}
		var s decap.Sight
		if r := o.LookPayload(encap, payload, &p, &s); r != decap.OK || s.VNI != l.vni || s.Encap != encap || s.Layers.String() != l.layers {
			t.Errorf("%s: looked at, %v, %+v", l.name, r, s)
		}
		if n := testing.AllocsPerRun(10, func() { d.DecodePayload(encap, payload, &p) }); n != 0 {
			t.Errorf("%s: %v allocations", l.name, n)
		}
		for n := range payload {
			r := d.DecodePayload(encap, payload[:n:n], &p)
			if r != decap.OK && !r.Broken() && l.name != "VXLAN in GENEVE of another VNI" {
				t.Errorf("%s, %d bytes: %v", l.name, n, r)
			}
		}
	}
	if encaps["geneve"] < 5 || encaps["vxlan-gpe"] < 4 || encaps["tzsp"] < 1 {
		t.Errorf("of the encapsulations there are %v", encaps)
	}
}

// payloadOf is the UDP payload of a frame, as gopacket reads it, and what it is by its port;
// ok is false for what is not over UDP.
func payloadOf(t *testing.T, frame []byte) (payload []byte, encap wire.Encap, ok bool) {
	t.Helper()
	u, ok := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy).Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !ok {
		return nil, 0, false
	}
	encap, ok = map[layers.UDPPort]wire.Encap{
		4789: wire.EncapVXLAN, 4790: wire.EncapVXLANGPE, 6081: wire.EncapGeneve, 37008: wire.EncapTZSP,
	}[u.DstPort]
	if !ok {
		t.Fatalf("port %d", u.DstPort)
	}
	return u.Payload, encap, true
}

// FuzzPayload holds what a socket gives against the same bytes in a frame, which have to be
// the same packet, or of no use for the same reason.
func FuzzPayload(f *testing.F) {
	d := newDecoder(f)
	ports := []uint16{4789, 4790, 6081, 37008}
	encaps := []wire.Encap{wire.EncapVXLAN, wire.EncapVXLANGPE, wire.EncapGeneve, wire.EncapTZSP}
	for _, l := range append(outsides(f), insides(f)...) {
		for i := range ports {
			f.Add(uint8(i), l.frame[min(len(l.frame), atVXLAN):])
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		i := int(which) % len(ports)
		if len(payload) > 65000 {
			return
		}
		frame := make([]byte, atVXLAN, atVXLAN+len(payload))
		frame[12], frame[14], frame[23] = 8, 0x45, 17
		binary.BigEndian.PutUint16(frame[16:], uint16(28+len(payload)))
		binary.BigEndian.PutUint16(frame[36:], ports[i])
		binary.BigEndian.PutUint16(frame[38:], uint16(8+len(payload)))
		frame = append(frame, payload...)
		var want, got decap.Packet
		reason := d.Decode(frame, &want)
		if r := d.DecodePayload(encaps[i], payload, &got); r != reason || got.VNI != want.VNI || got.TCP != want.TCP || got.Truncated != want.Truncated || !bytes.Equal(got.IP, want.IP) {
			t.Fatalf("%v %+v, in a frame %v %+v", r, got, reason, want)
		}
	})
}
