package decap_test

import (
	"testing"

	"netmirror/decap"
)

// BenchmarkDecode has a row for each packet that is common in a mirror.
func BenchmarkDecode(b *testing.B) {
	v4, v6 := ours4(b), ours6(b)
	rows := []struct {
		name  string
		frame []byte
		want  decap.Reason
	}{
		{"ours/v4", v4, decap.OK},
		{"ours/v6", v6, decap.OK},
		{"ours/v4-tagged", tagged(v4, 0x88a8, 0x8100), decap.OK},
		{"ours/v6-extensions", long6(b), decap.OK},
		{"other-port/v4", set16(v4, atInnerTCP+2, 443), decap.OtherPort},
		{"other-port/v6", set16(v6, atInnerIP6+40+2, 443), decap.OtherPort},
		{"other-vni", set(v4, atVXLAN+6, 99), decap.OtherVNI},
		{"not-tcp", set(v4, atInnerIP+9, 17), decap.InnerNotTCP},
		{"other-udp-port", set16(v4, atOuterUDP+2, 53), decap.OtherUDPPort},
		{"not-udp", set(v4, atOuterIP+9, 6), decap.OuterNotUDP},
	}
	d := newDecoder(b)
	for _, row := range rows {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			var p decap.Packet
			for b.Loop() {
				if r := d.Decode(row.frame, &p); r != row.want {
					b.Fatalf("reason is %v", r)
				}
			}
		})
	}
}
