package stack

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"netmirror/budget"
	"netmirror/outcome"
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

// Connections that have ended, and whose streams nobody reads, stay within the budget all
// together. When they have been read or given up, nothing of them is left in it.
func TestEndedConnectionsStayWithinTheBudget(t *testing.T) {
	const n, each, total = 1000, 64 << 10, 15 << 20
	for name, ends := range map[string]func(*client) Segment{
		"FIN": func(c *client) Segment { return c.fin(each) },
		"RST": func(c *client) Segment { return c.rst(each) },
	} {
		t.Run(name, func(t *testing.T) {
			all := budget.New(total, 20_000)
			s := newTestStack(t, func(c *Config) { c.Budget, c.TotalBytes = all, total })
			before, payload := heap(), pattern(each)
			var conns []*Conn
			for i := range n {
				c := nth(t, i)
				s.Inject(append(append(c.opening(), c.stream(0, payload, each/2)...), ends(c)))
				settled(t, s)
				conns = append(conns, accept(t, s))
			}
			if held := heap() - before; held > total {
				t.Errorf("%d connections hold %d bytes, more than the budget of %d", n, held, total)
			}
			whole := 0
			for _, c := range conns {
				got, err := readAll(t, c)
				if len(got) == each && (err == nil || err == outcome.EndClientReset) {
					whole++
				} else if err != outcome.EndShed {
					t.Fatalf("a stream of %d bytes ended with %v, want it whole or shed", len(got), err)
				}
			}
			if whole*each < total/8 {
				t.Errorf("%d streams were whole, much less than the budget has room for", whole)
			}
			holdsNothing(t, s)
		})
	}
}

// holdsNothing checks that nothing is left in the budget when all streams have ended and
// their readers have given them up, but what is remembered of their connections, and the
// spares.
func holdsNothing(t interface{ Errorf(string, ...any) }, s *Stack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	remembered := 0
	for _, known := range s.stubs.lru.Values() {
		remembered += known.memory()
	}
	if held, fixed := s.holding(), s.fixed()-len(s.spares)*spareMemory; held != 0 || fixed != remembered {
		t.Errorf("%d bytes are held when all has ended, and %d besides; want 0 and %d", held, fixed, remembered)
	}
	if has, spares := s.ns.Counts().Connected, len(s.spares); has != uint64(spares) {
		t.Errorf("gVisor has %d connections when all has ended, and %d spares are known", has, spares)
	}
}

// What is remembered of connections is bounded in bytes as well: the oldest are forgotten.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	const limit, each = 1000, 1500
	table, err := newStubTable(limit)
	if err != nil {
		t.Fatal(err)
	}
	key := func(n int) flowKey { return flowKey{port: uint16(n)} }
	before := heap()
	for n := range limit {
		known := stub{kind: midStream, ev: new(evidence), left: &leftOff{framing: framing{lead: make([]byte, each)}}}
		k := key(n)
		table.put(&k, known, time.Now())
	}
	place := 512 // bytes in the table itself
	if held := heap() - before; held > limit*(stubMemory+place) {
		t.Errorf("%d bytes are remembered, want %d at most", held, limit*(stubMemory+place))
	}
	last, first := key(limit-1), key(0)
	if _, ok := table.peek(&last); !ok {
		t.Error("the newest is forgotten")
	}
	if _, ok := table.peek(&first); ok {
		t.Error("the oldest is remembered")
	}
}
