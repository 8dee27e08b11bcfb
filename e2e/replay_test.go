package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// recording is a tcpdump that writes a capture file.
type recording struct {
	*process
	path string
}

// record starts a recording in the namespace.
func (s *scene) record(t *testing.T, n *lab.Namespace, args ...string) *recording {
	t.Helper()
	path := filepath.Join(t.TempDir(), "capture.pcap")
	cmd := exec.Command("tcpdump", append([]string{"-Z", "root", "-n", "-s", "0", "-B", "65536", "-w", path}, args...)...)
	r := &recording{startCommand(t, n, cmd), path}
	if _, _, err := r.await(s.ctx, 0, "listening on"); err != nil {
		t.Fatal(err)
	}
	return r
}

// finish ends the recording. What the kernel did not give it would be missing.
func (r *recording) finish(t *testing.T) string {
	t.Helper()
	// tcpdump reads what the kernel has every second at the latest; that it has has no event.
	time.Sleep(1500 * time.Millisecond)
	r.stop(t)
	if !strings.Contains(r.tail(5), "0 packets dropped by kernel") {
		t.Fatalf("tcpdump: %s", r.tail(5))
	}
	return r.path
}

// replay runs netmirror replay in the target's network to its end.
func (s *scene) replay(t *testing.T, args ...string) (status int, output string) {
	t.Helper()
	all := []string{"replay"}
	services := slices.Contains(args, "--forward")
	if !services {
		all = append(all, "--port", fmt.Sprint(servicePort))
	}
	if !services && !slices.Contains(args, "--to") {
		all = append(all, "--to", s.Shadow(shadowPort).String())
	}
	var table bytes.Buffer
	cmd := exec.Command(netmirrorPath, append(all, args...)...)
	cmd.Stdout = &table
	p := startCommand(t, s.Mon, cmd)
	select {
	case <-p.done:
	case <-s.ctx.Done():
		t.Fatal("the replay does not end")
	}
	s.netmirror = p
	return p.cmd.ProcessState.ExitCode(), p.tail(30) + "\n" + table.String()
}

// received is what the shadow service got, but for connections without a byte: those
// with which netmirror tries the target.
func (s *scene) received(t *testing.T) []lab.Record {
	t.Helper()
	if err := s.shadow.Wait(s.ctx, 0); err != nil {
		t.Error(err)
	}
	return slices.DeleteFunc(slices.Clone(s.shadow.Records()), func(r lab.Record) bool { return r.Len == 0 })
}

// What was recorded of a mirror, or of the service's host, is played as the clients
// sent it.
func TestReplay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		opts lab.Options
		at   func(s *scene) *lab.Namespace
		dump []string
		load workload
		args []string
	}{
		{"a mirror's packets", lab.Options{}, func(s *scene) *lab.Namespace { return s.Mon },
			[]string{"-i", lab.MirrorLink, "udp port 4789"}, mixed, []string{"--speed", "max"}},
		{"a mirror's packets, in fragments, both directions", lab.Options{MirrorMTU: 1500, BothDirections: true},
			func(s *scene) *lab.Namespace { return s.Mon },
			[]string{"-i", lab.MirrorLink, "ip"}, mixed, []string{"--speed", "max"}},
		{"a mirror's packets, over IPv6", lab.Options{OuterIPv6: true, InnerIPv6: true}, func(s *scene) *lab.Namespace { return s.Mon },
			[]string{"-i", lab.MirrorLink, "ip6"}, mixed, []string{"--speed", "max"}},
		{"a host's packets", lab.Options{}, func(s *scene) *lab.Namespace { return s.Srv },
			[]string{"-i", lab.ClientLink, "tcp port 8080"}, mixed, []string{"--speed", "max"}},
		{"a host's packets, of any interface", lab.Options{}, func(s *scene) *lab.Namespace { return s.Srv },
			[]string{"-i", "any", "tcp port 8080"}, mixed, []string{"--speed", "max"}},
		{"a host's packets, as large as offload makes them", lab.Options{Offloads: true}, func(s *scene) *lab.Namespace { return s.Srv },
			[]string{"-i", lab.ClientLink, "tcp port 8080"}, connections(8, 8, 1, 4<<20), []string{"--speed", "max"}},
		{"at its own pace", lab.Options{}, func(s *scene) *lab.Namespace { return s.Mon },
			[]string{"-i", lab.MirrorLink, "udp port 4789"}, gets(100, 10), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := setOrigin(t, c.opts)
			s.serveShadow(t, lab.AnswerHTTP)
			r := s.record(t, c.at(s), c.dump...)
			if err := c.load(s.ctx, s.client); err != nil {
				t.Fatalf("lab: %v", err)
			}
			if err := s.origin.Wait(s.ctx, 0); err != nil {
				t.Fatal(err)
			}
			status, output := s.replay(t, append(c.args, r.finish(t))...)
			if status != 0 {
				t.Errorf("exit status %d:\n%s", status, output)
			}
			if d := lab.Diff(s.origin.Records(), s.received(t)); d != "" {
				t.Error(d)
			}
			s.netmirror.final(t).check(t)
		})
	}
}

// A target that is slower than the file does not lose any of it.
func TestReplayWaitsForTheTarget(t *testing.T) {
	t.Parallel()
	s := setOrigin(t, lab.Options{})
	s.serveShadow(t, lab.ReadSlowly(8<<20))
	r := s.record(t, s.Mon, "-i", lab.MirrorLink, "udp port 4789")
	if err := connections(4, 4, 1, 32<<20)(s.ctx, s.client); err != nil {
		t.Fatalf("lab: %v", err)
	}
	status, output := s.replay(t, "--speed", "max", "--flow-kib", "2048", r.finish(t))
	if status != 0 {
		t.Errorf("exit status %d:\n%s", status, output)
	}
	if d := lab.Diff(s.origin.Records(), s.received(t)); d != "" {
		t.Error(d)
	}
}

// A file is played N times.
func TestReplayLoops(t *testing.T) {
	s := setOrigin(t, lab.Options{})
	s.serveShadow(t, lab.AnswerHTTP)
	r := s.record(t, s.Mon, "-i", lab.MirrorLink, "udp port 4789")
	if err := gets(20, 5)(s.ctx, s.client); err != nil {
		t.Fatalf("lab: %v", err)
	}
	status, output := s.replay(t, "--speed", "max", "--loop", "3", r.finish(t))
	if status != 0 {
		t.Errorf("exit status %d:\n%s", status, output)
	}
	if d := lab.Diff(slices.Repeat(s.origin.Records(), 3), s.received(t)); d != "" {
		t.Error(d)
	}
}

// Exit statuses tell what the file lacks from what the replay lost.
func TestReplayExitStatus(t *testing.T) {
	s := setOrigin(t, lab.Options{})
	s.serveShadow(t, lab.AnswerHTTP)
	r := s.record(t, s.Mon, "-i", lab.MirrorLink, "udp port 4789")
	if err := connections(20, 5, 2, 8<<10)(s.ctx, s.client); err != nil {
		t.Fatalf("lab: %v", err)
	}
	whole := r.finish(t)
	b, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(t.TempDir(), "half.pcap")
	if err := os.WriteFile(half, b[:len(b)-7], 0o600); err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "short.pcap")
	if out, err := exec.Command("editcap", "-s", "200", whole, short).CombinedOutput(); err != nil {
		t.Fatalf("editcap: %v: %s", err, out)
	}
	for _, c := range []struct {
		name, want string
		status     int
		args       []string
	}{
		{"the whole file", "all that the capture holds was forwarded", 0, []string{whole}},
		{"a file that was cut off", "ends in the middle of a packet", 3, []string{half}},
		{"cut packets", "were cut", 3, []string{short}},
		{"a target that is not there", "took no connection", 1, []string{"--to", "127.0.0.1:9", "--max-retries", "0", whole}},
		{"a loop over standard input", "--loop", 1, []string{"--loop", "2", "-"}},
		{"no file", "FILE", 1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, output := s.replay(t, append([]string{"--speed", "max"}, c.args...)...)
			if status != c.status || !strings.Contains(output, c.want) {
				t.Errorf("exit status %d, want %d and %q:\n%s", status, c.status, c.want, output)
			}
		})
	}
}
