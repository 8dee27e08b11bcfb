package budget

import "testing"

func TestHoldersShare(t *testing.T) {
	s := New(1000, 10)
	woken := ""
	a, b, c := s.Join(func() { woken += "a" }), s.Join(func() { woken += "b" }), s.Join(func() { woken += "c" })
	if a.Tell(Use{300, 50, 3}); b.own.Held != 0 {
		t.Error("one holder's bytes are another's")
	}
	if got, want := b.Tell(Use{200, 20, 1}), (Use{300, 50, 3}); got != want {
		t.Errorf("the others use %+v, want %+v", got, want)
	}
	a.Tell(Use{100, 30, 2})
	if got, want := c.Tell(Use{}), (Use{300, 50, 3}); got != want || s.Fixed() != want.Fixed {
		t.Errorf("the others use %+v, want %+v; %d bytes are fixed", got, want, s.Fixed())
	}
	a.Weigh(90)
	b.Weigh(150)
	for _, tc := range []struct {
		claim string
		than  int
		woken string
	}{
		{"the heaviest gives way", 50, "b"},
		{"nothing is as heavy as the own one", 150, ""},
		{"nor anywhere", 1000, ""},
	} {
		woken = ""
		if ok := c.Ask(70, tc.than); ok != (tc.woken != "") || woken != tc.woken {
			t.Errorf("%s: %v, woken %q", tc.claim, ok, woken)
		}
	}
	if woken = ""; b.Ask(1, 50) != true || woken != "a" {
		t.Errorf("who asks is not asked: woken %q, want a", woken)
	}
	if bytes, than := b.Asked(); bytes != 70 || than != 50 {
		t.Errorf("asked for %d bytes of flows beyond %d, want 70 and 50", bytes, than)
	}
	if bytes, _ := b.Asked(); bytes != 0 {
		t.Errorf("asked twice for %d bytes", bytes)
	}
	b.Leave()
	if got, want := c.Tell(Use{}), (Use{100, 30, 2}); got != want || c.Ask(1, 100) {
		t.Errorf("%+v is left, want %+v; or who has left is asked", got, want)
	}
}
