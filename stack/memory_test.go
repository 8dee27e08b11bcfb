package stack

import (
	"runtime"
	"strings"
	"testing"
)

// heap is what the program holds, in bytes.
func heap() int {
	runtime.GC() // what sync.Pool keeps outlives one
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// What netmirror remembers of a connection whose bytes were all read is within what the
// budget counts for it, whatever the bytes were.
func TestAReadConnectionHoldsNoPacket(t *testing.T) {
	const n = 200
	hints := "HTTP/1.1 103 Early Hints\r\nLink: " + strings.Repeat("a", 15000)
	for _, tc := range []struct{ name, client, server string }{
		{"a long packet behind a PROXY header", proxyV1 + strings.Repeat("a", 60_000), ""},
		{"an interim answer that goes on", get1, hints},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTestStack(t, nil)
			before := heap()
			for i := range n {
				c := nth(t, i)
				s.Inject(append(c.opening(), c.data(0, []byte(tc.client))))
				if tc.server != "" {
					s.Inject([]Segment{c.answer(1000, len(tc.client), tc.server, nil)})
				}
				settled(t, s)
				conn := accept(t, s)
				for read := 0; read < len(tc.client); {
					got, err := conn.Read(make([]byte, 64<<10))
					if err != nil {
						t.Fatal(err)
					}
					read += got
				}
			}
			if each := (heap() - before) / n; each > FlowMemory {
				t.Errorf("%d bytes are held for each connection, more than %d", each, FlowMemory)
			}
		})
	}
}
