package deploy_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/e2e/lab"
)

// TestImage builds the image and runs it as the overlay of deploy/kustomize
// asks for, in the network of a mirror: it becomes ready, forwards what the
// clients send, may do what the manifest says and no more, and ends when it is asked to.
func TestImage(t *testing.T) {
	t.Parallel()
	i := buildImage(t)
	i.check(t)
	s := newScene(t)
	pod := at(t, ofKind(t, render(t, ""), "Deployment"), "spec", "template", "spec").(map[string]any)
	spec := podOf(t, pod)
	settings := filepath.Join(t.TempDir(), "settings")
	if err := os.Mkdir(settings, 0o755); err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf("[Service lab]\nvni = 42\nport = %d\nto = %v\n", servicePort, s.Shadow(shadowPort))
	if err := os.WriteFile(filepath.Join(settings, "netmirror.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	mount := at(t, pod, "containers", 0, "volumeMounts", 0, "mountPath")
	spec.mounts = []map[string]any{{"destination": mount, "type": "bind", "source": settings, "options": []string{"bind", "ro"}}}

	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	run := i.runc(t, spec)
	run.Stdout, run.Stderr = log, log
	if err := s.Mon.Start(run); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	t.Cleanup(func() {
		run.Process.Kill()
		if t.Failed() {
			said, _ := os.ReadFile(log.Name())
			t.Logf("it said: %s", said)
		}
	})
	wait(t, 20*time.Second, "the pod to be ready", func() error { return s.ask("/readyz") })
	if err := s.ask("/healthz"); err != nil {
		t.Errorf("it is ready, and not healthy: %v", err)
	}
	checkContained(t, run.Process.Pid, spec)
	s.forwards(t)

	grace := time.Duration(at(t, pod, "terminationGracePeriodSeconds").(int)) * time.Second
	if err := run.Process.Signal(syscall.SIGTERM); err != nil { // which runc passes on
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(grace):
		t.Errorf("it has not ended after %v", grace)
	}
}

// check sees that the image has the program with its capability, and nothing else.
func (i image) check(t *testing.T) {
	t.Helper()
	if i.config.User != "65532:65532" || i.config.StopSignal != "SIGTERM" || !slices.Equal(i.config.Entrypoint, []string{"/netmirror"}) {
		t.Errorf("the image's configuration is %+v", i.config)
	}
	if files, err := os.ReadDir(i.rootfs); err != nil || len(files) != 1 {
		t.Errorf("the image has %v, %v", files, err)
	}
	// struct vfs_cap_data of include/uapi/linux/capability.h: version 2, not
	// effective, and CAP_NET_RAW permitted.
	want := make([]byte, 20)
	binary.LittleEndian.PutUint32(want, 2<<24)
	binary.LittleEndian.PutUint32(want[4:], 1<<unix.CAP_NET_RAW)
	got := make([]byte, 64)
	n, err := unix.Getxattr(filepath.Join(i.rootfs, "netmirror"), "security.capability", got)
	if err != nil || !slices.Equal(got[:n], want) {
		t.Errorf("the file's capability is %x, %v, want %x", got[:max(n, 0)], err, want)
	}
}

const (
	servicePort = 8080
	shadowPort  = 80
)

// scene is a mirror, a service and its shadow.
type scene struct {
	*lab.Lab
	origin, shadow *lab.Server
	client         http.Client // in netmirror's network
}

func newScene(t *testing.T) *scene {
	t.Helper()
	l, err := lab.New(lab.Options{BothDirections: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	serve := func(n *lab.Namespace, at netip.AddrPort) *lab.Server {
		server, err := n.Serve(at, lab.AnswerHTTP)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Close)
		return server
	}
	s := &scene{Lab: l, origin: serve(l.Srv, l.Origin(servicePort)), shadow: serve(l.Dst, l.Shadow(shadowPort))}
	s.client.Transport = &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return nil, err
			}
			return l.Mon.Dial(ctx, to)
		},
	}
	return s
}

// ask makes a request to netmirror's --http, as the kubelet makes its probes.
func (s *scene) ask(path string) error {
	answer, err := s.client.Get(fmt.Sprintf("http://%v:9090%s", s.Tap().Addr(), path))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, answer.Status)
	}
	return nil
}

// forwards sees that the shadow gets what the clients send.
func (s *scene) forwards(t *testing.T) {
	t.Helper()
	const conns = 20
	if err := s.shadow.Wait(t.Context(), 1); err != nil { // of the look at the target at the start
		t.Fatal(err)
	}
	client := s.ClientOf(servicePort)
	err := lab.Each(t.Context(), conns, 4, func(ctx context.Context, i int) error {
		return client.With(ctx, func(c *lab.Stream) error { return c.Post(uint64(i), 100_000) })
	})
	if err != nil {
		t.Fatal(err)
	}
	for server, n := range map[*lab.Server]int{s.origin: conns, s.shadow: 1 + conns} {
		if err := server.Wait(t.Context(), n); err != nil {
			t.Error(err)
		}
	}
	if diff := lab.Diff(s.origin.Records(), s.shadow.Records()[1:]); diff != "" {
		t.Error(diff)
	}
}

// checkContained sees that the process in the container of a runc has no
// privilege, nor a way to one, and the memory that it is to have.
func checkContained(t *testing.T, runc int, p podSpec) {
	t.Helper()
	pid, err := exec.Command("pgrep", "-P", fmt.Sprint(runc), "-x", "netmirror").Output()
	if err != nil {
		t.Fatalf("no netmirror below runc: %v", err)
	}
	proc := filepath.Join("/proc", strings.TrimSpace(string(pid)))
	read := func(path string) string {
		t.Helper()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	status := read(filepath.Join(proc, "status"))
	const none = "0000000000000000"
	for name, want := range map[string]string{
		"Uid": fmt.Sprint(p.uid), "Gid": fmt.Sprint(p.gid), "NoNewPrivs": "1",
		"CapEff": none, "CapPrm": none, "CapInh": none, "CapAmb": none, "CapBnd": none,
	} {
		if got := regexp.MustCompile(`(?m)^` + name + `:\s*(\S+)`).FindStringSubmatch(status); got == nil || got[1] != want {
			t.Errorf("it has %s, want %s", got, want)
		}
	}
	if root := read(filepath.Join(proc, "mountinfo")); !regexp.MustCompile(`(?m)^\S+ \S+ \S+ \S+ / ro\b`).MatchString(root) {
		t.Errorf("its root is not read-only:\n%s", root)
	}
	for _, file := range []string{"/sys/fs/cgroup/memory/" + p.name + "/memory.limit_in_bytes", "/sys/fs/cgroup/" + p.name + "/memory.max"} {
		if _, err := os.Stat(file); err == nil { // version 1 or 2
			if got := strings.TrimSpace(read(file)); got != fmt.Sprint(p.memory) {
				t.Errorf("its memory's limit is %s, want %d", got, p.memory)
			}
			return
		}
	}
	t.Error("it has no memory limit")
}
