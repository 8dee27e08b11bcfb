package check

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"netmirror/source"
	"netmirror/source/sourcetest"
)

// fragmented is a frame of IPv4 in two fragments, of which the first has 24 bytes of data.
func fragmented(frame []byte) [][]byte {
	const ip, data, first = 14, 14 + 20, 24
	part := func(offset uint16, data []byte) []byte {
		b := append(bytes.Clone(frame[:ip+20]), data...)
		binary.BigEndian.PutUint16(b[ip+2:], uint16(len(b)-ip))
		binary.BigEndian.PutUint16(b[ip+4:], 99) // the identification
		binary.BigEndian.PutUint16(b[ip+6:], offset)
		return b
	}
	return [][]byte{part(0x2000, frame[data:data+first]), part(first/8, frame[data+first:])}
}

// A file has the fragments of packets that a live capture, or the forwarding, joins.
func TestFragmentsInAFile(t *testing.T) {
	packets := conversation(7, "10.0.0.1:50001", "10.0.0.9:8080", get+strings.Repeat(" ", 60))
	frames := func(change func([]byte) [][]byte) (all [][]byte) {
		for _, p := range packets {
			if p.payload == "" {
				all = append(all, p.frame(t))
			} else {
				all = append(all, change(p.frame(t))...)
			}
		}
		return all
	}
	inner := func(frame []byte) (all [][]byte) {
		for _, part := range fragmented(frame[50:]) {
			all = append(all, encap(t, 7, part))
		}
		return all
	}
	for _, row := range []struct {
		name   string
		frames [][]byte
		says   []string
	}{
		{"of the mirror's packets", frames(fragmented), []string{
			"ok    mirror: 5 packets", "note  mirror: 4 fragments arrived and were joined to 2 packets"}},
		{"of the mirrored packets", frames(inner), []string{"ok    mirror: 5 packets"}},
		{"of both", frames(func(frame []byte) (all [][]byte) {
			for _, part := range inner(frame) {
				all = append(all, fragmented(part)...)
			}
			return all
		}), []string{"ok    mirror: 5 packets", "note  mirror: 8 fragments arrived and were joined to 4 packets"}},
		{"of which one is missing", frames(func(frame []byte) [][]byte { return fragmented(frame)[:1] }), []string{
			"ok    mirror: 5 packets", "2 packets more to that port are not the mirror's, or not whole"}},
		{"of a mirrored packet, of which one is missing", frames(func(frame []byte) [][]byte { return inner(frame)[1:] }), []string{
			"ok    mirror: 5 packets", "2 packets more to that port are not the mirror's, or not whole"}},
	} {
		memory := sourcetest.New(source.Ethernet, source.Stamps)
		go func() {
			memory.Give(time.Unix(1, 0), row.frames)
			memory.Stop()
		}()
		var out strings.Builder
		c := testConfig([]uint32{7}, 8080)
		c.Capture = &Capture{Source: memory, Files: []string{"a.pcap"}}
		ok, err := Run(context.Background(), c, &out)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(row.name, "missing") {
			row.says = append(row.says, "             7   8080           5            1  both                    1  HTTP/1\n", "HTTP/1 in 1 of the 1 connection")
		}
		for _, want := range row.says {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: it does not say %q:\n%s", row.name, want, &out)
			}
		}
		if !ok {
			t.Errorf("%s: there is a fault:\n%s", row.name, &out)
		}
	}
}
