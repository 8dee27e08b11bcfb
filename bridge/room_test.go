package bridge

import "testing"

// One bridge cannot take what is the others', and has the rest.
func TestRoom(t *testing.T) {
	for _, row := range []struct{ conns, bridges, most, left int }{
		{100, 1, 100, 0}, {100, 2, 75, 25}, {100, 50, 51, 1}, {3, 2, 3, 0}, {10, 5, 6, 1},
	} {
		room := NewRoom(row.conns, row.bridges)
		all := make([]*Bridge, row.bridges)
		for i := range all {
			b, err := New(Config{Target: "shadow:80", Room: room})
			if err != nil {
				t.Fatal(err)
			}
			all[i] = b
		}
		fill := func(b *Bridge) (n int) {
			for b.enter() {
				n++
			}
			b.leave() // the one that was turned away
			return n
		}
		for range 2 { // what was left can be had again
			got, sum := fill(all[0]), 0
			for _, b := range all[1:] {
				n := fill(b)
				if sum += n; n < row.left {
					t.Errorf("%+v: another has %d", row, n)
				}
			}
			if got != row.most || got+sum > row.conns {
				t.Errorf("%+v: the first has %d, all %d", row, got, got+sum)
			}
			for _, b := range all {
				for b.n.open.Load() > 0 {
					b.leave()
				}
			}
		}
	}
}
