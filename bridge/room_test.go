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

// Where a bridge comes, the others' share shrinks; no more is open in all than before.
func TestRoomIsSharedAnew(t *testing.T) {
	const conns = 40
	room := NewRoom(conns, 1)
	var all []*Bridge
	fill := func(most int) (n int) {
		b, err := New(Config{Target: "shadow:80", Room: room})
		if err != nil {
			t.Fatal(err)
		}
		for all = append(all, b); n < most && b.enter(); n++ {
		}
		if n < most {
			b.leave() // the one that was turned away
		}
		return n
	}
	room.Resize(2)
	if n := fill(conns); n != 30 {
		t.Errorf("the first of two has %d", n)
	}
	room.Resize(4)
	if n := fill(3); n != 3 {
		t.Errorf("the second has %d of its own 5", n)
	}
	if n := fill(conns); n != 5 {
		t.Errorf("the third has %d", n)
	}
	if n := fill(conns); n != 2 {
		t.Errorf("the fourth has %d of what is left", n)
	}
	for range 20 {
		all[0].leave()
	}
	for n := 0; n < 3; n++ {
		if !all[3].enter() {
			t.Errorf("the fourth has only %d more of its own, now that there is room", n)
		}
	}
	room.Resize(1)
	for n := range conns - 10 - 3 - 5 - 5 {
		if !all[1].enter() {
			t.Errorf("one alone has only %d more", n)
		}
	}
	if all[1].enter() {
		t.Error("more is open than there may be")
	}
}

// What a target does may wait for the next bytes of a client, but not where the place of a stream
// that is over is soon wanted: another loop may want it.
func TestScarcePlacesAreGivenBackAtOnce(t *testing.T) {
	for places, told := range map[int]bool{2: true, 4: true, 5: false} {
		g := newTarget(t)
		l := newAlone(t, Config{Target: g.addr(), Room: NewRoom(places, 1)})
		for range 2 {
			l.open(t, newScript(), g)
		}
		l.active = l.now
		for range 2 { // the first may only switch it
			l.in.post(func() {}) // so that sleep returns
			l.sleep()
		}
		if l.poll.open != told {
			t.Errorf("of %d places 2 are taken: the loop hears of targets at once: %t", places, l.poll.open)
		}
		l.loop.end(nil)
	}
}
