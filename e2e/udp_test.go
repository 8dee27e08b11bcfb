package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"netmirror/e2e/lab"
)

// setUnprivileged makes a scene in which netmirror has no capability and, where the lab's
// user namespace knows it, is nobody's.
func setUnprivileged(t *testing.T, opts lab.Options, args ...string) *scene {
	t.Helper()
	s := setServices(t, opts, nil)
	s.netmirror = startCommand(t, s.Mon, unprivileged(t, append([]string{
		"--capture", "udp", "--vni", "42", "--port", fmt.Sprint(servicePort), "--to", s.Shadow(shadowPort).String(),
	}, args...)...))
	s.ready(t)
	return s
}

// unprivileged is a call of netmirror without a privilege.
func unprivileged(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	drop := []string{"--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs"}
	users, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(users), "4294967295") { // all of them
		drop = append(drop, "--reuid=65534", "--regid=65534", "--clear-groups")
	}
	return exec.Command("setpriv", append(append(drop, netmirrorPath), args...)...)
}

func TestUDPSockets(t *testing.T) {
	for _, shape := range shapes {
		for _, tt := range []struct {
			name string
			args []string
		}{
			{"any interface", nil},
			{"one interface, two workers", []string{"--iface", lab.MirrorLink, "--workers", "2"}},
		} {
			t.Run(shape.name+", "+tt.name, func(t *testing.T) {
				opts := shape.opts
				opts.Twice = len(tt.args) > 0
				setUnprivileged(t, opts, tt.args...).run(t, mixed)
			})
		}
	}
}
