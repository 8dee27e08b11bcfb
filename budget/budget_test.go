package budget

import "testing"

func TestHoldersShare(t *testing.T) {
	s := New(1000, 10)
	woken := ""
	a, b, c := s.Join(func() { woken += "a" }), s.Join(func() { woken += "b" }), s.Join(func() { woken += "c" })
	if a.Tell(300, 3); b.held != 0 {
		t.Error("one holder's bytes are another's")
	}
	if held, flows := b.Tell(200, 1); held != 300 || flows != 3 {
		t.Errorf("the others hold %d bytes and %d flows, want 300 and 3", held, flows)
	}
	a.Tell(100, 2)
	if held, flows := c.Tell(0, 0); held != 300 || flows != 3 {
		t.Errorf("the others hold %d bytes and %d flows, want 300 and 3", held, flows)
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
	if held, flows := c.Tell(0, 0); held != 100 || flows != 2 || c.Ask(1, 100) {
		t.Errorf("%d bytes and %d flows are left, want 100 and 2; or who has left is asked", held, flows)
	}
}
