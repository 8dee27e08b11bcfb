package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

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
	return asNobody(t, noPrivilege, netmirrorPath, args...)
}

// noPrivilege is setpriv(1)'s flags for a program that can gain none either.
var noPrivilege = []string{"--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs"}

// asNobody is a call of a program by nobody, where the lab's user namespace knows it, with
// further flags of setpriv(1).
func asNobody(t testing.TB, drop []string, program string, args ...string) *exec.Cmd {
	t.Helper()
	users, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(users), "4294967295") { // all of them
		drop = append(drop, "--reuid=65534", "--regid=65534", "--clear-groups")
	}
	return exec.Command("setpriv", append(append(drop, program), args...)...)
}

func TestUDPSockets(t *testing.T) {
	t.Parallel()
	for _, shape := range shapes {
		for _, tt := range []struct {
			name string
			args []string
		}{
			{"any interface", nil},
			{"one interface, two workers", []string{"--iface", lab.MirrorLink, "--workers", "2"}},
		} {
			t.Run(shape.name+", "+tt.name, func(t *testing.T) {
				t.Parallel()
				opts := shape.opts
				opts.Twice = len(tt.args) > 0
				setUnprivileged(t, opts, tt.args...).run(t, mixed)
			})
		}
	}
}

// The image's file has cap_net_raw+p: it captures from a ring where that is permitted, and
// starts where it is not.
func TestCapabilityOfTheFile(t *testing.T) {
	program := filepath.Join(filepath.Dir(netmirrorPath), "permitted")
	data, err := os.ReadFile(netmirrorPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	// struct vfs_cap_data of include/uapi/linux/capability.h: version 2, not effective,
	// and CAP_NET_RAW permitted.
	capability := make([]byte, 20)
	binary.LittleEndian.PutUint32(capability, 2<<24)
	binary.LittleEndian.PutUint32(capability[4:], 1<<unix.CAP_NET_RAW)
	if err := unix.Setxattr(program, "security.capability", capability, 0); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, capture string
		drop          []string
		captures      bool
	}{
		{"ring, permitted", "ring", nil, true},
		{"ring, not permitted", "ring", []string{"--bounding-set=-all"}, false},
		{"udp, not permitted", "udp", []string{"--bounding-set=-all", "--no-new-privs"}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := setServices(t, lab.Options{}, nil)
			s.netmirror = startCommand(t, s.Mon, asNobody(t, row.drop, program, "--capture", row.capture, "--iface", lab.MirrorLink,
				"--vni", "42", "--port", fmt.Sprint(servicePort), "--to", s.Shadow(shadowPort).String()))
			if row.captures {
				s.ready(t)
				return
			}
			if _, _, err := s.netmirror.await(s.ctx, 0, "no permission to capture, which takes CAP_NET_RAW"); err != nil {
				t.Error(err)
			}
		})
	}
}

// Where another has the mirror's port, the last line says what to do.
func TestUDPPortInUse(t *testing.T) {
	s := setServices(t, lab.Options{}, nil)
	end := func(words ...string) {
		t.Helper()
		p := startCommand(t, s.Mon, unprivileged(t, "--capture", "udp", "--vni", "42", "--port", "80", "--to", "127.0.0.1:1"))
		line, _, err := p.await(s.ctx, 0, "netmirror: port is in use")
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range words {
			if !strings.Contains(line, word) {
				t.Errorf("not a word of %q: %s", word, line)
			}
		}
	}
	var other *net.UDPConn
	err := s.Mon.Do(func() (err error) {
		other, err = net.ListenUDP("udp4", &net.UDPAddr{Port: lab.VXLANPort})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	end("another program has UDP port 4789", "ss -ulnp", "--capture ring")
	other.Close()
	if err := s.Mon.Do(func() (err error) {
		other, err = net.ListenUDP("udp4", &net.UDPAddr{Port: 6081})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	end("another program has UDP port 6081", "leave the port alone by naming what the mirror sends, like --encap vxlan", "--capture ring")
	other.Close()
	if err := s.Mon.Do(func() error {
		return exec.Command("ip", "link", "add", "tunnel0", "up", "type", "vxlan", "id", "7", "dstport", "4789", "dev", lab.MirrorLink).Run()
	}); err != nil {
		t.Fatal(err)
	}
	end("VXLAN device tunnel0", "ip link del dev tunnel0", "--capture ring")
}
