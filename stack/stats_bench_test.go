package stack

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// BenchmarkStats is how long a look at the figures keeps the stack's lock, with
// packets held for all flows.
func BenchmarkStats(b *testing.B) {
	for _, flows := range []int{0, 1000, 10_000} {
		b.Run(fmt.Sprintf("flows=%d", flows), func(b *testing.B) {
			s, err := New(Config{Port: testPort, VNIs: []uint32{testVNI}, Grace: time.Hour, GapTimeout: time.Hour, TotalBytes: 1 << 30})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			for i := range flows {
				c := newClient(b, 1)
				c.src = netip.AddrPortFrom(c.src.Addr(), uint16(20_000+i))
				s.Inject(append(c.opening(), c.data(10, pattern(10)), c.data(20, pattern(10)))) // behind a hole
			}
			if st := s.Stats(); st.Held < uint64(flows) {
				b.Fatalf("%d packets held for %d flows", st.Held, flows)
			}
			b.ReportAllocs()
			for b.Loop() {
				s.Stats()
			}
		})
	}
}
