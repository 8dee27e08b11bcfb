package stack

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The options are those of RFC 8684's figures 4, 5, 9 and 14, with the padding that
// stacks put around them.
func TestMPTCPOptions(t *testing.T) {
	for _, tc := range []struct {
		name    string
		options []byte
		want    mptcpOptions
	}{
		{"SYN of version 1", []byte{2, 4, 5, 0xb4, 30, 4, 0x01, 0x81, 1, 1, 0}, mptcpOptions{present: true, capable: true, version: 1}},
		{"data with both keys", []byte{30, 22, 0x01, 0x01, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 5, 0xa8},
			mptcpOptions{present: true, capable: true, version: 1, keys: 2, key: [2]uint64{1, 2}, length: 1448}},
		{"SYN of a further subflow", []byte{1, 1, 30, 12, 0x11, 3, 0xde, 0xad, 0xbe, 0xef, 9, 9, 9, 9},
			mptcpOptions{present: true, join: true, token: 0xdeadbeef}},
		{"mapping with 8 bytes and Data ACK with 4", []byte{30, 22, 0x20, 0x0d, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 4},
			mptcpOptions{present: true, acks: true, ack: 7, maps: true, dsn: 2, ssn: 3, dll: 4}},
		{"mapping with a checksum", []byte{30, 16, 0x20, 0x04, 0, 0, 0, 2, 0, 0, 0, 3, 0, 4, 0xab, 0xcd},
			mptcpOptions{present: true, maps: true, dsn: 2, ssn: 3, dll: 4}},
		{"DATA_FIN and MP_FASTCLOSE", []byte{30, 14, 0x20, 0x14, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 30, 12, 0x70, 0, 0, 0, 0, 0, 0, 0, 0, 5},
			mptcpOptions{present: true, maps: true, dsn: 2, dll: 1, dataFIN: true, fastclose: true, key: [2]uint64{0, 5}}},
		{"mapping shorter than its flags say", []byte{30, 14, 0x20, 0x0c, 0, 0, 0, 2, 0, 0, 0, 3, 0, 4}, mptcpOptions{present: true}},
		{"longer than the header", []byte{30, 20, 0x20, 0x04, 0, 0, 0, 2}, mptcpOptions{}},
		{"no length", []byte{1, 1, 30}, mptcpOptions{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var o mptcpOptions
			o.read(tc.options)
			if d := cmp.Diff(tc.want, o, cmp.AllowUnexported(mptcpOptions{})); d != "" {
				t.Error(d)
			}
			if hasMPTCP(tc.options) != tc.want.present {
				t.Errorf("hasMPTCP is %v", !tc.want.present)
			}
		})
	}
}

// FuzzMPTCPOptions is for any options: no panic, and what has no MPTCP says nothing.
func FuzzMPTCPOptions(f *testing.F) {
	f.Add([]byte{30, 4, 0x01, 0x81})
	f.Add([]byte{30, 22, 0x01, 0x01, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 5, 0xa8})
	f.Add([]byte{30, 22, 0x20, 0x0d, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 4})
	f.Add([]byte{1, 1, 30, 12, 0x10, 3, 0xde, 0xad, 0xbe, 0xef, 9, 9, 9, 9})
	f.Add([]byte{30, 12, 0x70, 0, 0, 0, 0, 0, 0, 0, 0, 5})
	f.Fuzz(func(t *testing.T, options []byte) {
		var o mptcpOptions
		o.read(options)
		if o.present && !hasMPTCP(options) || !o.present && o != (mptcpOptions{}) {
			t.Errorf("%+v, hasMPTCP is %v", o, hasMPTCP(options))
		}
		if o.dataFIN && (!o.maps || o.dll == 0) {
			t.Errorf("a DATA_FIN without a place: %+v", o)
		}
	})
}

// drawMultipath is a segment of a client that speaks MPTCP as no honest one does.
func drawMultipath(t *rapid.T, m *multi) Segment {
	small := rapid.SampledFrom([]int{0, 1, 3, 9, 100, 70_000, -1, -3, 1 << 24, 1 << 30, 1 << 31})
	data := []string{"", "", "abc", get1, string(pattern(3000))}[rapid.IntRange(0, 4).Draw(t, "data")]
	off, flags := small.Draw(t, "off"), rapid.SampledFrom([]string{"", "", "", "", "F", "R", "S"}).Draw(t, "flags")
	var seg Segment
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		seg = m.synCapable()
	case 1:
		seg = m.keys()
	case 2:
		seg = m.synJoin(rapid.SampledFrom([]uint32{m.token, 5}).Draw(t, "token"))
	case 3:
		seg = m.ackJoin()
	case 4:
		seg = m.dataFIN(off, small.Draw(t, "at"))
	case 5:
		seg = m.segment(off, data, flags)
	case 6:
		seg = m.segment(off, data, flags, append([]byte{0x70, 0}, m.serverKey...))
	case 7:
		o := rapid.SampledFrom([][]byte{m.fail(off), {0x80, 0}, {0x81, 2}}).Draw(t, "option")
		seg = m.segment(off, data, flags, o)
	default:
		d := m.dss(small.Draw(t, "from"), small.Draw(t, "at"), rapid.SampledFrom([]int{0, 1, 3, len(data), 65535}).Draw(t, "length"))
		d[1] |= rapid.SampledFrom([]byte{0, 0, 0x10}).Draw(t, "DATA_FIN")
		seg = m.segment(off, data, flags, d)
	}
	if rapid.IntRange(0, 5).Draw(t, "from") == 0 {
		turned := *m.client
		turned.src, turned.dst = m.dst, m.src
		server := *m
		server.client = &turned
		o := rapid.SampledFrom([][]byte{
			server.dss(off, small.Draw(t, "answer"), len(data)), m.fail(small.Draw(t, "failed")),
			append([]byte{0x70, 0}, m.clientKey...), {0x81, 2},
		}).Draw(t, "server's option")
		seg = server.segment(off, data, rapid.SampledFrom([]string{"", "S", "R", "F"}).Draw(t, "server's"), o)
		seg.FromServer = true
	}
	return seg
}

// TestHostileMultipath is TestHostileSegments for clients that speak MPTCP.
func TestHostileMultipath(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		playHostile(t, rt, func(c *client) func() Segment {
			m := newMulti(t, byte(rapid.IntRange(0, 1).Draw(rt, "version")))
			m.client.isn = c.isn
			paths := []*multi{m, m.on(otherPath), m.on("192.0.2.9:40002")}
			return func() Segment { return drawMultipath(rt, rapid.SampledFrom(paths).Draw(rt, "path")) }
		})
	})
	noLeaks(t)
}
