package defrag

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"netmirror/wire"
)

// FuzzReassembly feeds frames, each behind its length in two bytes, and holds
// the Reassembler to its bounds. Every joined frame says its own length, and is
// no fragment by the header that it was joined by.
func FuzzReassembly(f *testing.F) {
	script := func(frames ...[]byte) (s []byte) {
		for _, frame := range frames {
			s = append(append(s, byte(len(frame)>>8), byte(len(frame))), frame...)
		}
		return s
	}
	for _, fam := range families {
		data := datagramOf(f, 120)
		a, b, c := fam.Part(f, 1, 0, true, data[:48]), fam.Part(f, 1, 48, true, data[48:96]), fam.Part(f, 1, 96, false, data[96:])
		f.Add(script(a, b, c))
		f.Add(script(c, a, a, b))
		f.Add(script(a, fam.Part(f, 1, 40, true, data[:16]), c))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		c := newClock()
		r := New(Config{Protocol: wire.ProtoUDP, Bytes: 4 * ChunkBytes, Timeout: time.Second, Now: c.now})
		r.Begin()
		for len(s) >= 2 {
			n := min(int(s[0])<<8|int(s[1]), len(s)-2)
			frame := bytes.Clone(s[2 : 2+n])
			s = s[2+n:]
			c.pass(100 * time.Millisecond)
			joined := r.stats.Reassembled
			if out := r.Frame(frame); r.stats.Reassembled > joined {
				checkJoined(t, out)
			}
		}
		st := r.stats
		if st.FragmentsReceived != st.FragmentsReassembled+sum(st.FragmentsDropped)+st.FragmentsHeld ||
			st.FragmentBytesReceived != st.FragmentBytesReassembled+sum(st.FragmentBytesDropped)+st.FragmentBytesHeld {
			t.Fatalf("does not add up: %+v", st)
		}
		if len(r.live) > r.chunks.count {
			t.Fatalf("%d datagrams in %d chunks", len(r.live), r.chunks.count)
		}
		r.Flush()
		if r.chunks.left != r.chunks.count || r.stats.FragmentsHeld != 0 || len(r.live) != 0 || r.newest != nil {
			t.Fatalf("not empty after flush: %+v, %d chunks free of %d", r.stats, r.chunks.left, r.chunks.count)
		}
	})
}

// FuzzPacket does the same with IP packets of two networks, the script's odd and
// even ones.
func FuzzPacket(f *testing.F) {
	for _, fam := range mirroredFamilies {
		data := datagramOf(f, 120)
		var s []byte
		for _, p := range [][]byte{fam.Part(f, 1, 0, true, data[:48]), fam.Part(f, 1, 0, true, data[:48]), fam.Part(f, 1, 48, false, data[48:])} {
			s = append(append(s, byte(len(p)>>8), byte(len(p))), p...)
		}
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		r := newInner(newClock())
		for n := uint32(0); len(s) >= 2; n++ {
			r.Begin()
			size := min(int(s[0])<<8|int(s[1]), len(s)-2)
			p := bytes.Clone(s[2 : 2+size])
			s = s[2+size:]
			joined := r.stats.Reassembled
			out := r.Packet(n%2, p)
			if r.stats.Reassembled > joined {
				checkLength(t, out)
			} else if out != nil && len(out) > len(p) {
				t.Fatalf("%d bytes of %d", len(out), len(p))
			}
		}
		r.Flush()
		st := r.stats
		if st.FragmentsReceived != st.FragmentsReassembled+sum(st.FragmentsDropped) || r.chunks.left != r.chunks.count {
			t.Fatalf("does not add up: %+v", st)
		}
	})
}

func checkJoined(t *testing.T, frame []byte) {
	t.Helper()
	ip := 14
	for binary.BigEndian.Uint16(frame[ip-2:]) != 0x0800 && binary.BigEndian.Uint16(frame[ip-2:]) != 0x86dd {
		ip += 4
	}
	checkLength(t, frame[ip:])
}

// checkLength: an IP packet is as long as it says, and no fragment.
func checkLength(t *testing.T, p []byte) {
	t.Helper()
	length, want := int(binary.BigEndian.Uint16(p[2:])), len(p)
	if p[0]>>4 == 6 {
		length, want = int(binary.BigEndian.Uint16(p[4:])), len(p)-40
	} else if p[6]|p[7] != 0 {
		t.Fatalf("a fragment came out: % x", p)
	}
	if length != want {
		t.Fatalf("the header says %d bytes, there are %d: % x", length, want, p)
	}
}
