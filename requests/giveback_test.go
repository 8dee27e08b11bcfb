package requests

import "testing"

// What is held back of a stream that gets no connection is as if it had not been read.
func TestHeldBackIsGivenBack(t *testing.T) {
	r := rules(t, only)
	e := r.Editor()
	for _, in := range []string{out, get[:10], get[10:20]} {
		b := []byte(in)
		if n := e.Taken(b, len(e.Edit(nil, b))); n != len(b) {
			t.Fatalf("%d bytes of %q are done with", n, in)
		}
	}
	if got := e.GiveBack(); string(got) != get[:20] {
		t.Errorf("%q is given back", got)
	}
	e.Close()
	checkCounts(t, r, Stats{NotMatched: 1}, len(out), 0)
	if got := (*Editor)(nil).GiveBack(); got != nil {
		t.Errorf("%q of nothing", got)
	}
}

// Whether the stream began with a PROXY protocol header is known when its first request is,
// also where the target has not taken it.
func TestProxied(t *testing.T) {
	for in, want := range map[string]bool{proxy1 + get: true, proxy2 + get: true, bulky + get: true, get: false, "PROXY /api HTTP/1.1\r\n\r\n": false} {
		e := rules(t, only).Editor()
		b := []byte(in)
		if len(e.Edit(nil, b)) == 0 {
			t.Errorf("nothing of %q", in)
		}
		if e.Taken(b, 0); e.Proxied() != want {
			t.Errorf("%.20q: %v", in, e.Proxied())
		}
		e.Close()
	}
}

// Headers that are held back count among what all streams hold, and beyond that they are
// not held back.
func TestHeldHeadersAreBounded(t *testing.T) {
	r := rules(t, only)
	var editors []*Editor
	given := 0
	for range 2 * maxHeld / maxLead {
		e := r.Editor()
		b := []byte(bulky2k)
		n := len(e.Edit(nil, b))
		e.Taken(b, n)
		given += n
		editors = append(editors, e)
	}
	if held := r.held.Load(); held > maxHeld+maxLead || given < maxHeld-maxLead {
		t.Errorf("%d bytes are held, and %d were forwarded", held, given)
	}
	for _, e := range editors {
		e.Close()
	}
	if held := r.held.Load(); held != 0 {
		t.Errorf("%d bytes are held behind the end", held)
	}
}
