package decap_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"unsafe"

	"netmirror/decap"
)

// FuzzDecode looks for a frame that breaks what the package promises. The frame
// is head followed by zeros (at most 128 KiB): a payload beyond 65535 bytes as a
// number, since the fuzzer is slow to mutate and minimize one as bytes.
func FuzzDecode(f *testing.F) {
	for _, frame := range examples(f) {
		f.Add(frame, uint32(0))
	}
	f.Add(ours6(f), uint32(0))
	f.Add(long4(f), uint32(0))
	f.Add(long6(f), uint32(0))
	for _, outer6 := range []bool{false, true} {
		for _, inner6 := range []bool{false, true} {
			frame, _ := big(f, outer6, inner6, 1)
			f.Add(bytes.TrimRight(frame, "\x00"), uint32(0x10100))
		}
	}
	for _, l := range slices.Concat(outsides(f), insides(f)) {
		f.Add(l.frame, uint32(0))
	}
	d := newDecoder(f)
	f.Fuzz(func(t *testing.T, head []byte, zeros uint32) {
		frame := slices.Concat(head, make([]byte, zeros%(128<<10)))
		checkInvariants(t, d, slices.Clip(frame))
	})
}

// checkInvariants decodes a frame without spare capacity and holds the result
// against what Packet promises, reading the headers on its own.
func checkInvariants(t *testing.T, d *decap.Decoder, frame []byte) {
	t.Helper()
	var p decap.Packet
	before := bytes.Clone(frame)
	r := d.Decode(frame, &p)
	if !bytes.Equal(before, frame) {
		t.Fatalf("%v: the frame was changed", r)
	}
	checkParts(t, frame, p, r)
	if r == decap.InnerFragment {
		var again decap.Packet
		by := d.DecodeIP(p.VNI, p.IP, &again)
		lone := by == decap.InnerNotTCP && again.IP == nil && laterUDP(p.IP)
		if !bytes.Contains(frame, p.IP) || !lone && by != r || again.IP != nil {
			t.Fatalf("the fragment is %+v, by itself %v %+v", p, by, again)
		}
		return
	}
	if r != decap.OK {
		if r >= decap.NumReasons || p.IP != nil {
			t.Fatalf("reason %d, packet %+v", r, p)
		}
		return
	}
	checkIP(t, frame, p)
	checkTCP(t, p)

	var again decap.Packet
	if r := d.DecodeIP(p.VNI, p.IP, &again); r != decap.OK {
		t.Fatalf("by itself: %v", r)
	}
	if r := d.Decode(canonical(p), &again); r != decap.OK {
		t.Fatalf("encapsulated afresh: %v", r)
	}
	if again.VNI != p.VNI || !bytes.Equal(again.IP, p.IP) || again.TCP != p.TCP ||
		again.Truncated != (p.Truncated && lengthField(p.IP) != 0) || !slices.Equal(again.To, p.To) || !slices.Equal(again.From, p.From) {
		t.Fatalf("encapsulated afresh: %+v, was %+v", again, p)
	}
}

// laterUDP says whether a fragment is a later one of a UDP datagram, which is of use
// only together with the first.
func laterUDP(ip []byte) bool {
	if ip[0]>>4 == 4 {
		return ip[9] == 17 && binary.BigEndian.Uint16(ip[6:])&0x1fff != 0
	}
	return bytes.Contains(ip[40:], []byte{17}) // some header names it
}

// checkIP: IP lies within the frame, is of a known version, and is truncated
// exactly if its length field says more.
func checkIP(t *testing.T, frame []byte, p decap.Packet) {
	t.Helper()
	start := uintptr(unsafe.Pointer(unsafe.SliceData(frame)))
	at := uintptr(unsafe.Pointer(unsafe.SliceData(p.IP))) - start
	if at > uintptr(len(frame)) || at+uintptr(len(p.IP)) > uintptr(len(frame)) || cap(p.IP) != len(p.IP) {
		t.Fatalf("IP is %d:%d (capacity %d) of %d bytes", at, at+uintptr(len(p.IP)), cap(p.IP), len(frame))
	}
	field := lengthField(p.IP)
	own := field
	switch p.IP[0] >> 4 {
	case 4:
	case 6:
		own += 40
	default:
		t.Fatalf("IP begins with %#x", p.IP[0])
	}
	if field == 0 {
		if len(p.IP) <= 46 {
			t.Fatalf("length field 0 in %d bytes", len(p.IP))
		}
		return
	}
	if len(p.IP) > own || p.Truncated != (len(p.IP) < own) {
		t.Fatalf("%d bytes of %d, truncated %t", len(p.IP), own, p.Truncated)
	}
}

// lengthField is what an IP packet's length field says.
func lengthField(ip []byte) int {
	if ip[0]>>4 == 6 {
		return int(binary.BigEndian.Uint16(ip[4:]))
	}
	return int(binary.BigEndian.Uint16(ip[2:]))
}

// checkTCP: the header is complete within IP and of our service.
func checkTCP(t *testing.T, p decap.Packet) {
	t.Helper()
	if p.TCP < 20 || p.TCP+20 > len(p.IP) {
		t.Fatalf("TCP at %d of %d bytes", p.TCP, len(p.IP))
	}
	header := p.IP[p.TCP:]
	if size := int(header[12]>>4) * 4; size < 20 || size > len(header) {
		t.Fatalf("TCP header of %d bytes in %d", size, len(header))
	}
	src, dst := binary.BigEndian.Uint16(header), binary.BigEndian.Uint16(header[2:])
	if src != testPort && dst != testPort {
		t.Fatalf("ports %d and %d", src, dst)
	}
	if (len(p.To) == 1) != (dst == testPort) || (len(p.From) == 1) != (src == testPort) {
		t.Fatalf("ports %d and %d, to services %v, from %v", src, dst, p.To, p.From)
	}
}

// canonical wraps p.IP in the plainest encapsulation, written by hand. The
// outer lengths overflow to 0 as Linux has them.
func canonical(p decap.Packet) []byte {
	etherType := uint16(0x0800)
	if p.IP[0]>>4 == 6 {
		etherType = 0x86dd
	}
	length := func(n int) uint16 {
		if n > 65535 {
			return 0
		}
		return uint16(n)
	}
	n := len(p.IP) + 14 + 8
	b := make([]byte, 0, 14+20+8+n)
	b = append(b, make([]byte, 12)...)
	b = append(b, 8, 0, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, length(20+8+n))
	b = append(b, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0xc0, 0, 0x12, 0xb5)
	b = binary.BigEndian.AppendUint16(b, length(8+n))
	b = append(b, 0, 0, 8, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, p.VNI<<8)
	b = append(b, make([]byte, 12)...)
	b = binary.BigEndian.AppendUint16(b, etherType)
	return append(b, p.IP...)
}
