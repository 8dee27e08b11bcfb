package defrag

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"
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
		a, b, c := fam.part(f, 1, 0, true, data[:48]), fam.part(f, 1, 48, true, data[48:96]), fam.part(f, 1, 96, false, data[96:])
		f.Add(script(a, b, c))
		f.Add(script(c, a, a, b))
		f.Add(script(a, fam.part(f, 1, 40, true, data[:16]), c))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		c := newClock()
		r := New(Config{Protocol: protoUDP, Bytes: 4 * ChunkBytes, Timeout: time.Second, Now: c.now})
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

func checkJoined(t *testing.T, frame []byte) {
	t.Helper()
	ip := 14
	for binary.BigEndian.Uint16(frame[ip-2:]) != 0x0800 && binary.BigEndian.Uint16(frame[ip-2:]) != 0x86dd {
		ip += 4
	}
	p := frame[ip:]
	length, want := int(binary.BigEndian.Uint16(p[2:])), len(p)
	if p[0]>>4 == 6 {
		length, want = int(binary.BigEndian.Uint16(p[4:])), len(p)-40
	} else if p[6]|p[7] != 0 {
		t.Fatalf("a fragment came out: % x", frame)
	}
	if length != want {
		t.Fatalf("the header says %d bytes, there are %d: % x", length, want, frame)
	}
}
