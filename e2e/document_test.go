package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"netmirror/e2e/lab"
)

// The commands that docs/linux.md has for a production host make it a mirror.
func TestLinuxMirrorOfTheDocument(t *testing.T) {
	text, err := os.ReadFile("../docs/linux.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(text), "\n## VXLAN\n")
	part, _, ok := strings.Cut(part, "On netmirror's host:")
	if !ok {
		t.Fatal("the page has no such part")
	}
	s := setServices(t, lab.Options{VNI: 7}, nil) // whose own mirror is another session
	run := 0
	for line := range strings.Lines(part) {
		command, ok := strings.CutPrefix(line, "    ")
		if !ok || strings.HasPrefix(command, "tc qdisc") { // the lab has that
			continue
		}
		run++
		command = strings.NewReplacer("eth0", lab.ClientLink, "10.0.16.9", s.Tap().Addr().String(), "mirror0", "copies0").Replace(command)
		s.onServer(t, command)
	}
	if run != 4 {
		t.Fatalf("%d commands", run)
	}
	s.startNetmirror(t)
	s.ready(t)
	s.run(t, mixed)
	if got := s.netmirror.final(t)["drop_reverse"]; got == 0 {
		t.Error("no answer was mirrored")
	}
}

// So do those that it has for netmirror on the production host itself.
func TestLinuxMirrorOnOneHostOfTheDocument(t *testing.T) {
	text, err := os.ReadFile("../docs/linux.md")
	if err != nil {
		t.Fatal(err)
	}
	s := setOrigin(t, lab.Options{VNI: 7}) // whose own mirror is another one
	if s.shadow, err = s.Srv.Serve(s.Origin(shadowPort), behindFirst(lab.AnswerHTTP)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.shadow.Close)
	_, links, _ := strings.Cut(string(text), "\n## On one host\n")
	links, _, _ = strings.Cut(links, "\n## ")
	_, filters, _ := strings.Cut(string(text), "\n## VXLAN\n")
	filters, _, _ = strings.Cut(filters, "On netmirror's host:")
	run := 0
	for _, part := range []struct{ text, begins string }{{links, "    ip link"}, {filters, "    tc filter"}} {
		for line := range strings.Lines(part.text) {
			if !strings.HasPrefix(line, part.begins) {
				continue
			}
			run++
			command := strings.NewReplacer("eth0", lab.ClientLink, "mirror0", "copies0").Replace(line)
			s.onServer(t, command)
		}
	}
	if run != 5 {
		t.Fatalf("%d commands", run)
	}
	s.netmirror = start(t, s.Srv, netmirrorPath, "--iface", "tap0", "--encap", "none", "--port", fmt.Sprint(servicePort), "--to", s.Origin(shadowPort).String())
	s.ready(t)
	s.run(t, mixed)
}

// onServer runs a shell's command on the mirrored server.
func (s *scene) onServer(t *testing.T, command string) {
	t.Helper()
	if err := s.Srv.Do(func() error {
		out, err := exec.Command("sh", "-c", command).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %s", command, out)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
