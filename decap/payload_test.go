package decap_test

import (
	"bytes"
	"testing"

	"netmirror/decap"
)

// What a UDP socket gives begins with the VXLAN header.
func TestDecodeVXLAN(t *testing.T) {
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
			if r := d.DecodeVXLAN(row.payload, &p); r != row.want || !bytes.Equal(p.IP, row.ip) {
				t.Errorf("%v, %+v", r, p)
			}
			if row.want == decap.OK && (p.VNI != testVNI || p.Truncated) {
				t.Errorf("%+v", p)
			}
		})
	}
}
