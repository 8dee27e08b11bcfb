package decap_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"netmirror/decap"
)

// examples is one frame for each reason.
func examples(tb testing.TB) map[decap.Reason][]byte {
	frame := ours4(tb)
	tags := []uint16{0x8100, 0x8100, 0x8100, 0x8100, 0x8100}
	return map[decap.Reason][]byte{
		decap.OK:              frame,
		decap.OuterTruncated:  frame[:20:20],
		decap.OuterNotIP:      set16(frame, 12, 0x0806),
		decap.OuterTooDeep:    tagged(frame, tags...),
		decap.OuterMalformed:  set(frame, atOuterIP, 0x44),
		decap.OuterFragment:   set(frame, atOuterIP+6, 0x20),
		decap.OuterNotUDP:     set(frame, atOuterIP+9, 6),
		decap.OtherUDPPort:    set16(frame, atOuterUDP+2, 53),
		decap.VXLANTruncated:  set16(frame, atOuterUDP+4, 10),
		decap.VXLANNoVNI:      set(frame, atVXLAN, 0),
		decap.VXLANMalformed:  set(overUDP(tb, 4790, gpe(testVNI, 3), frame[atInnerEth:]), atVXLAN, 0x1c),
		decap.GeneveTruncated: overUDP(tb, 6081, geneve(testVNI, typeTEB)[:7]),
		decap.GeneveMalformed: set(overUDP(tb, 6081, geneve(testVNI, typeTEB), frame[atInnerEth:]), atVXLAN, 0x40),
		decap.GRETruncated:    overGRE(tb, []byte{0x20, 0, 0x65}),
		decap.GREMalformed:    overGRE(tb, []byte{0, 1, 0x88, 0x0b}, make([]byte, 20)),
		decap.ERSPANTruncated: overGRE(tb, []byte{0x10, 0, 0x88, 0xbe, 0, 0, 0, 0, 0x10}),
		decap.ERSPANMalformed: overGRE(tb, []byte{0x10, 0, 0x88, 0xbe}, make([]byte, 30)),
		decap.TZSPTruncated:   overUDP(tb, 37008, tzsp()[:5]),
		decap.TZSPMalformed:   overUDP(tb, 37008, set(tzsp(), 0, 2)),
		decap.ControlPacket:   overUDP(tb, 37008, set(tzsp(), 1, 4)),
		decap.OtherPayload:    overUDP(tb, 37008, set(tzsp(), 3, 18)),
		decap.OtherVNI:        set(frame, atVXLAN+6, 99),
		decap.InnerTruncated:  frame[: atInnerIP+9 : atInnerIP+9],
		decap.InnerNotIP:      set16(frame, atInnerEth+12, 0x0806),
		decap.InnerTooDeep:    encap(tb, tagged(frame[atInnerEth:], tags...)),
		decap.InnerMalformed:  set(frame, atInnerIP, 0x44),
		decap.InnerFragment:   set(frame, atInnerIP+6, 0x20),
		decap.InnerNotTCP:     set(frame, atInnerIP+9, 17),
		decap.TunnelTruncated: encap(tb, ether(tb, typeMPLS, []byte{0, 0})),
		decap.TunnelMalformed: encap(tb, ether(tb, typePPPoE, make([]byte, 20))),
		decap.OtherPort:       set16(frame, atInnerTCP+2, 443),
		decap.TCPTruncated:    frame[: atInnerTCP+9 : atInnerTCP+9],
		decap.TCPMalformed:    set(frame, atInnerTCP+12, 0x40),
	}
}

func TestNoReasonAllocates(t *testing.T) {
	d, frames := newDecoder(t), examples(t)
	for want := range decap.NumReasons {
		frame, have := frames[want]
		if !have {
			t.Errorf("no example of %v", want)
			continue
		}
		var p decap.Packet
		var got decap.Reason
		var name string
		allocs := testing.AllocsPerRun(100, func() {
			got = d.Decode(frame, &p)
			name = got.String()
		})
		if got != want || name != want.String() || allocs != 0 {
			t.Errorf("%v: got %v with %v allocations", want, got, allocs)
		}
	}
}

// long4 and long6 are frames with as many headers as are followed, and padding.
func long4(tb testing.TB) []byte {
	in := slices.Concat(frame4(tb, packet4(tb, clientPort, testPort, request)), make([]byte, 6))
	return tagged(encap(tb, tagged(in, 0x8100, 0x8100)), 0x88a8, 0x8100)
}

func long6(tb testing.TB) []byte {
	hop := []byte{60, 0, 1, 4, 0, 0, 0, 0}
	in := behindIPv6(packet6(tb, clientPort, testPort, request), 0, slices.Concat(hop, []byte{6, 0, 1, 4, 0, 0, 0, 0})...)
	frame := encap6(tb, slices.Concat(frame6(tb, in), make([]byte, 6)))
	return slices.Concat(frame[:14], behindIPv6(frame[14:], 0, slices.Concat(hop, []byte{17, 0, 1, 4, 0, 0, 0, 0})...))
}

// TestEveryPrefix cuts valid frames at every byte. Each prefix has no capacity
// beyond its end, so that reaching over it panics.
func TestEveryPrefix(t *testing.T) {
	overflowed, _ := big(t, true, true, 30)
	rows := []struct {
		name   string
		frame  []byte
		header int // bytes up to the end of the TCP header
	}{
		{"IPv4", ours4(t), atInnerTCP + 32},
		{"IPv6", ours6(t), atInnerIP6 + 40 + 32},
		{"IPv4, tagged", long4(t), atInnerTCP + 32 + 16},
		{"IPv6, extension headers", long6(t), atInnerIP6 + 16 + 40 + 16 + 32},
		{"longer than the length field", overflowed, atInnerIP6 + 40 + 32},
	}
	type row = struct {
		name   string
		frame  []byte
		header int
	}
	for _, l := range slices.Concat(outsides(t), insides(t)) {
		if l.name == "VXLAN in GENEVE of another VNI" {
			continue // what is cut before the VXLAN header is of that one
		}
		rows = append(rows, row{l.name, l.frame, len(l.frame) - len(request)})
	}
	d := newDecoder(t)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var whole decap.Packet
			if r := d.Decode(row.frame, &whole); r != decap.OK || whole.Truncated {
				t.Fatalf("the whole frame: %v, truncated %t", r, whole.Truncated)
			}
			for n := range row.frame {
				var p decap.Packet
				r := d.Decode(row.frame[:n:n], &p)
				if (r == decap.OK) != (n >= row.header) {
					t.Fatalf("%d bytes: %v", n, r)
				}
				if r != decap.OK {
					if !r.Broken() {
						t.Fatalf("%d bytes: %v, as if not ours", n, r)
					}
					continue
				}
				if !bytes.HasPrefix(whole.IP, p.IP) || p.TCP != whole.TCP || p.VNI != whole.VNI {
					t.Fatalf("%d bytes: not a prefix of the whole packet", n)
				}
				// A packet that overflowed its length field has none to miss bytes by.
				if cut := len(p.IP) < len(whole.IP); p.Truncated != cut && len(row.frame) < 0xffff {
					t.Fatalf("%d bytes: truncated is %t with %d of %d bytes", n, p.Truncated, len(p.IP), len(whole.IP))
				}
			}
		})
	}
}

// TestCorruptedHeaders overwrites bytes of valid frames at random and checks
// what the fuzz target does.
func TestCorruptedHeaders(t *testing.T) {
	d := newDecoder(t)
	random := rand.New(rand.NewPCG(1, 2))
	const plain = 4
	frames := [][]byte{ours4(t), ours6(t), long4(t), long6(t)}
	for _, l := range slices.Concat(outsides(t), insides(t)) {
		frames = append(frames, l.frame)
	}
	for i, frame := range frames {
		times := 5000
		if i >= plain {
			times = 1000
		}
		for range times {
			b := slices.Clone(frame)
			for range 1 + random.IntN(3) {
				b[random.IntN(len(b))] = byte(random.Uint32())
			}
			n := len(b) - random.IntN(2)*random.IntN(40)
			checkInvariants(t, d, b[:n:n])
		}
	}
}
