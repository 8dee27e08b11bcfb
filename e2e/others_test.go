package e2e

import (
	"testing"

	"netmirror/e2e/lab"
)

func TestOtherVNIsAndPortsReachNobody(t *testing.T) {
	s := set(t, lab.Options{}, nil)
	other, err := s.Srv.Serve(s.Origin(servicePort+1), lab.AnswerHTTP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	load := connections(20, 4, 5, 2<<10)

	// Another service's traffic in our VNI.
	if err := load(s.ctx, s.ClientOf(servicePort+1)); err != nil {
		t.Fatal(err)
	}
	// Our service's traffic in another VNI.
	if err := s.Mirror(43); err != nil {
		t.Fatal(err)
	}
	if err := load(s.ctx, s.client); err != nil {
		t.Fatal(err)
	}
	if err := s.origin.Wait(s.ctx, 20); err != nil {
		t.Fatal(err)
	}
	ignored := len(s.origin.Records())

	// What is ours comes behind all of that.
	if err := s.Mirror(42); err != nil {
		t.Fatal(err)
	}
	if err := connections(20, 4, 5, 3<<10)(s.ctx, s.client); err != nil {
		t.Fatal(err)
	}
	if err := s.origin.Wait(s.ctx, ignored+20); err != nil {
		t.Fatal(err)
	}
	s.compareWith(t, s.origin.Records()[ignored:])
}
