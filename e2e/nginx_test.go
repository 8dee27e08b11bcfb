package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// program is the path of one of Debian's programs, which CI must have.
func program(t testing.TB, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("needs %s (apt install %s)", name, debian)
	}
	if err != nil {
		t.Fatalf("needs %s (apt install %s): %v", name, debian, err)
	}
	return path
}

// nginx is a server that stores what is PUT to it.
type nginx struct{ dir string }

const nginxConfig = `daemon off;
user root;
worker_processes 1;
pid %[1]s/pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
	log_format requests '$request_method $request_uri $status $request_length $http_user_agent';
	access_log %[1]s/access.log requests;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	client_max_body_size 64m;
	server {
		listen %[2]s;
		root %[1]s/stored;
		location / { dav_methods PUT; create_full_put_path on; }
		%[3]s
	}
}
`

// startNginx runs nginx inside the namespace until the test ends. The directives
// are for its server block.
func startNginx(t *testing.T, n *lab.Namespace, path, listen string, directives ...string) nginx {
	t.Helper()
	x := nginx{dir: t.TempDir()}
	if err := os.Mkdir(filepath.Join(x.dir, "stored"), 0o755); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(x.dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, x.dir, listen, strings.Join(directives, "\n\t\t")), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-c", config, "-p", x.dir, "-e", "stderr")
	// Its workers are its children: as long as one runs, the pipe is open.
	stderr := new(bytes.Buffer)
	cmd.Stderr = stderr
	if err := n.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt) // ends its workers with it
		cmd.Wait()
		if t.Failed() {
			t.Logf("nginx logged:\n%s", stderr)
		}
	})
	return x
}

// requests is the access log, in no order.
func (x nginx) requests(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(x.dir, "access.log"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	slices.Sort(lines)
	return lines
}

// await returns when n requests have been logged, and polls, for a log has no event.
func (x nginx) await(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	for got := 0; ; {
		b, err := os.ReadFile(filepath.Join(x.dir, "access.log"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if got = bytes.Count(b, []byte("\n")); got >= n {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("nginx logged %d requests, want %d: %v", got, n, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// upload runs curl in the client's namespace.
func upload(t *testing.T, s *scene, path string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(s.ctx, path, append([]string{"-sS", "--fail", "--noproxy", "*", "-o", os.DevNull}, args...)...)
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := s.Cli.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("curl: %v: %s", err, &out)
	}
}

// inputs writes n files whose sizes go up to the given one, in bytes.
func inputs(t *testing.T, n int, size int64) (paths []string) {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		path := filepath.Join(dir, fmt.Sprintf("%d-%d", size, i))
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(f, lab.Body(rand.Uint64()), size*int64(i+1)/int64(n)); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// uploadAll uploads small files, each on a connection of its own and all on one, and a few
// large ones. single are further arguments of curl for the first. It returns the number
// of requests.
func uploadAll(t *testing.T, s *scene, curl, base string, small int, single ...string) (requests int) {
	t.Helper()
	files := inputs(t, small, 64<<10)
	for _, f := range files {
		upload(t, s, curl, append(single, "-T", f, base+"single/")...)
	}
	// One connection for all, as curl keeps it alive.
	many := []string{}
	for _, f := range files {
		many = append(many, "-T", f, base+"kept/")
	}
	upload(t, s, curl, many...)
	// Above 1 MB curl asks first, with Expect: 100-continue.
	large := inputs(t, 3, 12<<20)
	for _, f := range large {
		upload(t, s, curl, "-T", f, base+"large/")
	}
	return 2*len(files) + len(large)
}

func TestNginxAndCurl(t *testing.T) {
	nginxPath, curl := program(t, "nginx", "nginx"), program(t, "curl", "curl")
	s := &scene{Lab: buildLab(t, lab.Options{}), ctx: deadline(t)}
	origin := startNginx(t, s.Srv, nginxPath, s.Origin(servicePort).String())
	shadow := startNginx(t, s.Dst, nginxPath, s.Shadow(shadowPort).String())
	base := "http://" + s.Origin(servicePort).String() + "/"
	upload(t, s, curl, "--retry-connrefused", "--retry", "5", "-X", "OPTIONS", "--no-fail", base)
	s.netmirror = start(t, s.Mon, netmirrorPath, "--iface", lab.MirrorLink, "--vni", "42",
		"--port", fmt.Sprint(servicePort), "--to", s.Shadow(shadowPort).String())
	s.netmirror.capturing(s.ctx)

	n := uploadAll(t, s, curl, base, 60)
	shadow.await(s.ctx, t, n)
	s.netmirror.stop(t)
	got, want := shadow.requests(t), origin.requests(t)
	want = slices.DeleteFunc(want, func(line string) bool { return strings.HasPrefix(line, "OPTIONS ") })
	if len(want) != n || !slices.Equal(got, want) {
		t.Errorf("origin logged %d requests, the shadow service %d:\n%s\n--- and\n%s", len(want), len(got),
			strings.Join(want[:min(5, len(want))], "\n"), strings.Join(got[:min(5, len(got))], "\n"))
	}
	compareStored(t, origin, shadow)
}

// compareStored compares the files that both servers stored.
func compareStored(t *testing.T, origin, shadow nginx) {
	t.Helper()
	for _, sub := range []string{"single", "kept", "large"} {
		stored, err := os.ReadDir(filepath.Join(origin.dir, "stored", sub))
		if err != nil {
			t.Fatal(err)
		}
		if len(stored) == 0 {
			t.Errorf("origin stored nothing in %s", sub)
		}
		for _, f := range stored {
			want, err := os.ReadFile(filepath.Join(origin.dir, "stored", sub, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(shadow.dir, "stored", sub, f.Name()))
			if err != nil {
				t.Error(err)
			} else if !bytes.Equal(got, want) {
				t.Errorf("%s/%s differs", sub, f.Name())
			}
		}
	}
}
