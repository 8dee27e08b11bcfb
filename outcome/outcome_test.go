package outcome

import (
	"errors"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// checkWords sees that a value that was added has all its words, and none of another's.
func checkWords(t *testing.T, form string, all []Words) {
	t.Helper()
	name := regexp.MustCompile(form)
	seen := make(map[string]bool)
	for i, w := range all {
		if !name.MatchString(w.Name) || seen[w.Name] {
			t.Errorf("%d is called %q", i, w.Name)
		}
		seen[w.Name] = true
		if (w.Remedy == "") != w.Harmless {
			t.Errorf("%s: harmless %v, with the remedy %q", w.Name, w.Harmless, w.Remedy)
		}
		if !w.Harmless && w.Shown == "" && w.Name != EndNotOpened.String() { // which is no stream's
			t.Errorf("%s is a loss, of which the page says nothing", w.Name)
		}
	}
}

func TestEveryDropHasItsWords(t *testing.T) {
	var all []Words
	for d := range NumDrops {
		all = append(all, d.Words())
	}
	checkWords(t, `^[a-z]+(_[a-z]+)*$`, all)
	if s := NumDrops.String(); s != "unknown" {
		t.Errorf("a value beyond the reasons is called %q", s)
	}
}

func TestEveryEndHasItsWords(t *testing.T) {
	var all []Words
	for e := range NumEnds {
		all = append(all, e.Words())
		if e < NumStreamEnds && e.Words().Shown == "" {
			t.Errorf("the page says nothing of %s", e)
		}
	}
	checkWords(t, `^[a-z]+(-[a-z]+)*$`, all)
	if e := End(255); e.String() != "unknown" || e.Readable() || e.Harmless() {
		t.Errorf("a value that is none is %s, readable %v, harmless %v", e, e.Readable(), e.Harmless())
	}
}

func TestEveryProblemHasItsWords(t *testing.T) {
	name := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := make(map[string]bool)
	for p := range NumProblems {
		if !name.MatchString(p.String()) || seen[p.String()] {
			t.Errorf("problem %d is called %q", p, p.String())
		}
		seen[p.String()] = true
		if p.Text() == "" || p.Remedy() == "" || p.Severity() != Loss && p.Severity() != Note {
			t.Errorf("%s: %q, %q, %q", p, p.Severity(), p.Text(), p.Remedy())
		}
	}
}

// Whoever copies a stream with the standard library sees a reset as one.
func TestAResetIsOneToErrorsIs(t *testing.T) {
	for e := range NumEnds {
		if want := e == EndClientReset || e == EndServerReset; errors.Is(e, syscall.ECONNRESET) != want {
			t.Errorf("%v is a reset: want %v", e, want)
		}
	}
}

// What is lost with a stream that was harmless must not count as a loss, and the
// other way round.
func TestWhatGoesDownWithAStreamCostsAsMuchAsItsEnd(t *testing.T) {
	for e := range NumEnds {
		if e.Harmless() != e.Drop().Harmless() {
			t.Errorf("%s: harmless %v; its packets count as %s: harmless %v", e, e.Harmless(), e.Drop(), e.Drop().Harmless())
		}
	}
}

// A replay has these problems too, where the file's snapshot length has cut the packets.
func TestWhatCutsPacketsMayBeACapture(t *testing.T) {
	for _, p := range []Problem{ProblemTruncated, ProblemCut} {
		if !strings.Contains(p.Remedy(), "tcpdump -s 0") {
			t.Errorf("%s: %q does not say how to capture whole packets", p, p.Remedy())
		}
	}
}
