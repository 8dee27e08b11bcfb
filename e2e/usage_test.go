package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"netmirror/e2e/lab"
)

// call runs netmirror to its end where in says, and returns what came of it.
func call(t *testing.T, in func(run func() error) error, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(deadline(t), netmirrorPath, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(), &out, &errs
	err := in(cmd.Run)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// here runs in the test's own surroundings.
func here(run func() error) error { return run() }

// without runs with a capability gone for good: the thread that gave it up is
// not used again.
func without(capability uintptr) func(func() error) error {
	return func(run func() error) error {
		result := make(chan error)
		go func() {
			runtime.LockOSThread()
			err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
			if err == nil {
				err = run()
			}
			result <- err
		}()
		return <-result
	}
}

func TestWrongCalls(t *testing.T) {
	// valid is a call that is right but for a flag.
	valid := func(change ...string) []string {
		name, _, _ := strings.Cut(change[0], "=")
		args := slices.Clone(change)
		for _, flag := range []string{"--iface=lo", "--vni=42", "--port=80", "--to=127.0.0.1:9"} {
			if !strings.HasPrefix(flag, name+"=") {
				args = append(args, flag)
			}
		}
		return args
	}
	for _, tt := range []struct {
		name string
		args []string
		says []string
	}{
		{"no such interface", valid("--iface", "nosuch0"), []string{"nosuch0", "lo"}},
		{"no interface", []string{"--vni", "42", "--port", "80", "--to", "127.0.0.1:9"}, []string{"--iface"}},
		{"no target", []string{"--iface", "lo", "--vni", "42", "--port", "80"}, []string{"--to"}},
		{"VNI above 24 bits", valid("--vni", "16777216"), []string{"16777216", "16777215"}},
		{"VNI below zero", valid("--vni=-1"), []string{"-1"}},
		{"port 0", valid("--port", "0"), []string{"port", "65535"}},
		{"port above 16 bits", valid("--port", "65536"), []string{"port", "65536"}},
		{"target without a port", valid("--to", "shadow.example"), []string{"shadow.example", "HOST:PORT"}},
		{"target with a port above 16 bits", valid("--to", "shadow.example:70000"), []string{"70000"}},
		{"no such place to begin", valid("--midstream", "sometimes"), []string{"--midstream", "http, any or off"}},
		{"no such way with gaps", valid("--on-gap", "ignore"), []string{"--on-gap", "reset or splice"}},
		{"no such way with checksums", valid("--verify-checksums", "maybe"), []string{"--verify-checksums", "auto, always or never"}},
		{"more workers than the kernel can share among", valid("--workers", "257"), []string{"--workers", "256"}},
		{"a number beyond any", valid("--total-mib", "99999999999"), []string{"--total-mib 99999999999", "16 to 1048576"}},
		{"a number beyond an int", valid("--total-mib", "99999999999999999999"), []string{"--total-mib", `"99999999999999999999" is out of range; need 16 to 1048576`}},
		{"a budget too small for one packet", valid("--flow-kib", "1"), []string{"--flow-kib 1", "64 to 1048576"}},
		{"a flag twice", valid("--gap-timeout=1s", "--gap-timeout", "2s"), []string{"--gap-timeout", "2 times (1s, 2s)"}},
		{"a flag twice, once short", append(valid("--port", "80"), "-p", "81"), []string{"--port", "2 times (80, 81)"}},
		{"unknown flag", valid("--frobnicate"), []string{"frobnicate", "--help"}},
		{"flags and the four words", []string{"--vni", "42", "lo", "42", "80", "127.0.0.1:9"}, []string{"four words"}},
		{"three words", []string{"lo", "42", "80"}, []string{"INTERFACE VNI PORT HOST:PORT"}},
		{"a word that is no VNI", []string{"lo", "x", "80", "127.0.0.1:9"}, []string{`"x"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, stdout, stderr := call(t, here, tt.args...)
			checkRefusal(t, status, stdout, stderr, tt.says...)
		})
	}
}

// checkRefusal checks for one line that has the given words, and exit status 1.
func checkRefusal(t *testing.T, status int, stdout, stderr string, says ...string) {
	t.Helper()
	if status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	if stdout != "" {
		t.Errorf("on standard output: %q", stdout)
	}
	if strings.Count(stderr, "\n") != 1 || !strings.HasSuffix(stderr, "\n") {
		t.Errorf("want one line, got %q", stderr)
	}
	for _, text := range says {
		if !strings.Contains(stderr, text) {
			t.Errorf("%q does not say %q", stderr, text)
		}
	}
}

func TestInterfaceThatIsDown(t *testing.T) {
	status, stdout, stderr := call(t, emptyNamespace(t).Do, "lo", "42", "80", "127.0.0.1:9")
	checkRefusal(t, status, stdout, stderr, "lo", "down")
}

func TestWithoutCapability(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give up CAP_NET_RAW")
	}
	status, stdout, stderr := call(t, without(unix.CAP_NET_RAW), "lo", "42", "80", "127.0.0.1:9")
	checkRefusal(t, status, stdout, stderr, "CAP_NET_RAW")
}

func TestHelpAndVersion(t *testing.T) {
	for _, tt := range []struct {
		flag string
		says []string
	}{
		{"--help", []string{"--iface", "--vni", "--port", "--to", "--vxlan-port", "--stats-interval", "INTERFACE VNI PORT HOST:PORT"}},
		{"--version", []string{"netmirror"}},
		{"version", []string{"netmirror"}},
	} {
		t.Run(tt.flag, func(t *testing.T) {
			status, stdout, stderr := call(t, here, tt.flag)
			if status != 0 || stderr != "" {
				t.Errorf("exit status %d, on standard error %q", status, stderr)
			}
			for _, text := range tt.says {
				if !strings.Contains(stdout, text) {
					t.Errorf("%q does not say %q", stdout, text)
				}
			}
		})
	}
}

func TestDeadTargetAtStartIsAWarning(t *testing.T) {
	s := setServices(t, lab.Options{}, nil)
	s.netmirror = start(t, s.Mon, netmirrorPath, "--iface", lab.MirrorLink, "--vni", "42", "--port", "8080",
		"--to", s.Shadow(shadowPort+1).String())
	s.netmirror.capturing(s.ctx)
	if _, _, err := s.netmirror.await(s.ctx, 0, "target does not answer"); err != nil {
		t.Error(err)
	}
	s.netmirror.stop(t)
}
