package decap_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netmirror/decap"
	"netmirror/service"
)

// What was joined is read as if it had come whole.
func TestDecodeIP(t *testing.T) {
	d := newDecoder(t)
	request4, request6 := packet4(t, clientPort, testPort, request), packet6(t, clientPort, testPort, request)
	answer := packet4(t, testPort, clientPort, request)
	hop := behindIPv6(request6, 0, 6, 0, 1, 4, 0, 0, 0, 0)
	for _, row := range []struct {
		name string
		ip   []byte
		want decap.Packet
	}{
		{"IPv4", request4, decap.Packet{VNI: testVNI, IP: request4, TCP: 20, To: toOne}},
		{"IPv6", request6, decap.Packet{VNI: testVNI, IP: request6, TCP: 40, To: toOne}},
		{"IPv6 with options", hop, decap.Packet{VNI: testVNI, IP: hop, TCP: 48, To: toOne}},
		{"from the server", answer, decap.Packet{VNI: testVNI, IP: answer, TCP: 20, From: []service.ID{0}}},
		{"cut", request4[:60], decap.Packet{VNI: testVNI, IP: request4[:60], TCP: 20, To: toOne, Truncated: true}},
	} {
		var got decap.Packet
		if r := d.DecodeIP(testVNI, row.ip, &got); r != decap.OK {
			t.Errorf("%s: %v", row.name, r)
		}
		if diff := cmp.Diff(row.want, got, cmp.Comparer(bytes.Equal)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.name, diff)
		}
	}
	for _, row := range []struct {
		name string
		ip   []byte
		want decap.Reason
	}{
		{"another service", packet4(t, clientPort, testPort+1, request), decap.OtherPort},
		{"UDP", set(request4, 9, 17), decap.InnerNotTCP},
		{"a fragment", set(request4, 6, 0x20), decap.InnerFragment},
		{"version 5", set(request4, 0, 0x55), decap.InnerMalformed},
		{"cut in TCP", request4[:30], decap.TCPTruncated},
		{"cut in IP", request6[:30], decap.InnerTruncated},
		{"empty", nil, decap.InnerTruncated},
	} {
		var got decap.Packet
		if r := d.DecodeIP(testVNI, row.ip, &got); r != row.want || got.IP != nil {
			t.Errorf("%s: %v, %+v", row.name, r, got)
		}
	}
}

// A fragment comes out with its VNI, in the frame's own memory.
func TestFragmentsAreHandedOut(t *testing.T) {
	d := newDecoder(t)
	four := set(ours4(t), atInnerIP+6, 0x20)
	six := encap6(t, frame6(t, behindIPv6(packet6(t, clientPort, testPort, request), 44, 6, 0, 0, 9, 1, 2, 3, 4)))
	for _, row := range []struct {
		name  string
		frame []byte
		at    int
	}{
		{"IPv4", four, atInnerIP},
		{"IPv6", six, atInnerIP6},
		{"IPv4 of another service", set16(four, atInnerTCP+2, 443), atInnerIP},
	} {
		var p decap.Packet
		r := d.Decode(row.frame, &p)
		if r != decap.InnerFragment || p.VNI != testVNI || !bytes.Equal(p.IP, row.frame[row.at:]) || &p.IP[0] != &row.frame[row.at] {
			t.Errorf("%s: %v, %+v", row.name, r, p)
		}
	}
	var p decap.Packet
	if r := d.Decode(set(four, atVXLAN+6, 99), &p); r != decap.OtherVNI || p.IP != nil {
		t.Errorf("a fragment of another network: %v, %+v", r, p)
	}
}
