package deploy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// machine is a Debian with systemd, made of the machine that the test runs on:
// see testdata/machine.sh. Nothing that is done in it stays.
type machine struct {
	pid   int    // of its systemd, out here
	ports uint16 // of clients so far
}

func startMachine(t *testing.T) *machine {
	t.Helper()
	needs(t, os.Geteuid() == 0, "root")
	for _, program := range []string{"systemctl", "dpkg", "unshare", "nsenter"} {
		_, err := exec.LookPath(program)
		needs(t, err == nil, program)
	}
	cgroup := fmt.Sprintf("netmirror-%s-%d", t.Name(), os.Getpid())
	var output bytes.Buffer
	cmd := exec.Command("sh", "testdata/machine.sh", cgroup)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	// The signal comes when the thread ends that started the process.
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	if err := cmd.Start(); err != nil {
		t.Fatalf("a machine to install on: %v", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed
		close(exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // and with it all its processes
		<-exited
		removeCgroup(t, cgroup)
	})
	m := &machine{pid: cmd.Process.Pid}
	wait(t, 60*time.Second, "the machine to be up", func() error {
		select {
		case <-exited:
			t.Fatalf("no machine to install on: %v\n%s", cmd.ProcessState, &output)
		default:
		}
		state, err := m.try("systemctl", "is-system-running")
		if state = strings.TrimSpace(state); state != "running" && state != "degraded" {
			return fmt.Errorf("%s, %v", state, err)
		}
		return nil
	})
	return m
}

// removeCgroup removes the groups that a machine has made, once their last
// process is gone.
func removeCgroup(t *testing.T, name string) {
	t.Helper()
	script := `mount -t cgroup2 cgroup2 /mnt && find "/mnt$(sed -n 's/^0:://p' /proc/self/cgroup)/$1" -depth -type d -exec rmdir {} +`
	wait(t, 10*time.Second, "the machine's cgroup to be removed", func() error {
		out, err := exec.Command("unshare", "--mount", "sh", "-c", script, "sh", name).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// try runs a command in the machine.
func (m *machine) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{
		"-t", fmt.Sprint(m.pid), "--all", "--root",
		"env", "-i", "--chdir=/", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "SYSTEMD_PAGER=cat",
	}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (m *machine) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := m.try(args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// property is what systemd knows of the service.
func (m *machine) property(t *testing.T, name string) string {
	t.Helper()
	return strings.TrimSpace(m.run(t, "systemctl", "show", "--value", "--property", name, "netmirror.service"))
}

// path is where out here a file of the machine is.
func (m *machine) path(name string) string {
	return filepath.Join("/proc", fmt.Sprint(m.pid), "root", name)
}

// copyIn puts a file into the machine's /tmp and returns its name there.
func (m *machine) copyIn(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join("/tmp", filepath.Base(file))
	if err := os.WriteFile(m.path(name), data, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// inNetwork runs f with the machine's network.
func (m *machine) inNetwork(t *testing.T, f func() error) {
	t.Helper()
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked, so that the thread ends here
		ns, err := netns.GetFromPid(m.pid)
		if err == nil {
			defer ns.Close()
			err = netns.Set(ns)
		}
		if err == nil {
			err = f()
		}
		failed <- err
	}()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}

func (m *machine) listen(t *testing.T) net.Listener {
	t.Helper()
	var ln net.Listener
	m.inNetwork(t, func() (err error) {
		ln, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	t.Cleanup(func() { ln.Close() })
	return ln
}

// needs skips the test where something is missing, except in CI, where all is
// there.
func needs(t *testing.T, ok bool, what string) {
	t.Helper()
	switch {
	case ok:
	case os.Getenv("CI") != "":
		t.Fatalf("needs %s", what)
	default:
		t.Skipf("needs %s", what)
	}
}

// wait calls f until it returns nil.
func wait(t *testing.T, limit time.Duration, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s: %v", limit, what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

var errNotYet = errors.New("not yet")
