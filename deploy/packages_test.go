// Package deploy_test tests the packages: what is in them, that the same
// source makes the same bytes, and that they install, run and go.
package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// built is a directory of packages.
type built struct{ dir, version string }

// build is what "make dist" makes of this work tree, once for all tests.
func build(t *testing.T) built {
	t.Helper()
	b, err := buildOnce()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	buildDir  string // set by TestMain
	buildOnce = sync.OnceValues(func() (built, error) { return dist("..", buildDir) })
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "netmirror-packages")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		buildDir = dir
		return m.Run()
	}())
}

// buildAs builds one format for this machine, under another version.
func buildAs(t *testing.T, version, format string) built {
	t.Helper()
	b, err := dist("..", t.TempDir(), "VERSION="+version, "FORMATS="+format, "ARCHS="+runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type distError struct {
	err error
	out string
}

func (e *distError) Error() string { return "dist.sh: " + e.err.Error() + "\n" + e.out }

func dist(clone, dir string, env ...string) (built, error) {
	cmd := exec.Command(filepath.Join(clone, "deploy", "dist.sh"))
	cmd.Env = append(os.Environ(), append(env, "DIST="+dir)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return built{}, &distError{err, string(out)}
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	version, _, _ := strings.Cut(lines[len(lines)-1], " in ")
	return built{dir, version}, nil
}

// one is the file whose name ends so.
func (b built) one(t *testing.T, suffix string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(b.dir, "*"+suffix))
	if err != nil || len(found) != 1 {
		t.Fatalf("%d files *%s in %s, %v", len(found), suffix, b.dir, err)
	}
	return found[0]
}

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	_, err := exec.LookPath(name)
	needs(t, err == nil, name)
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// common is what is installed by deb and rpm alike.
var common = []string{
	"/etc/netmirror/netmirror.conf",
	"/usr/bin/netmirror",
	"/usr/lib/systemd/system/netmirror.service",
	"/usr/share/bash-completion/completions/netmirror",
	"/usr/share/man/man1/netmirror.1.gz",
}

// TestContents: both architectures have their packages, with the files that
// they are to have, and their checksums.
func TestContents(t *testing.T) {
	t.Parallel()
	b := build(t)
	command(t, b.dir, "sha256sum", "--check", "--strict", "SHA256SUMS")
	files, err := os.ReadDir(b.dir)
	if err != nil || len(files) != 7 {
		t.Errorf("%d files, want 6 packages and their checksums: %v", len(files), err)
	}
	for arch, rpmArch := range map[string]string{"amd64": "x86_64", "arm64": "aarch64"} {
		t.Run("deb "+arch, func(t *testing.T) {
			deb := b.one(t, "_"+arch+".deb")
			want := append(slices.Clone(common), "/usr/share/doc/netmirror/copyright", "/usr/share/zsh/vendor-completions/_netmirror")
			var got []string
			for line := range strings.Lines(command(t, "", "dpkg-deb", "--contents", deb)) {
				fields := strings.Fields(line)
				if fields[1] != "root/root" {
					t.Errorf("not root's: %s", line)
				}
				if !strings.HasSuffix(fields[5], "/") {
					got = append(got, strings.TrimPrefix(fields[5], "."))
				}
			}
			same(t, got, want)
			if got := command(t, "", "dpkg-deb", "--field", deb, "Version", "Architecture"); got != "Version: "+b.version+"\nArchitecture: "+arch+"\n" {
				t.Error(got)
			}
			if got := command(t, "", "dpkg-deb", "--info", deb, "conffiles"); got != common[0]+"\n" {
				t.Errorf("conffiles: %q", got)
			}
		})
		t.Run("rpm "+arch, func(t *testing.T) {
			rpm := b.one(t, "."+rpmArch+".rpm")
			same(t, strings.Fields(command(t, "", "rpm", "-qpl", rpm)),
				append(slices.Clone(common), "/etc/netmirror", "/usr/share/licenses/netmirror/LICENSE", "/usr/share/zsh/site-functions/_netmirror"))
			if got := command(t, "", "rpm", "-qp", "--queryformat", `%{VERSION} %{ARCH} %{BUILDHOST} [%{FILENAMES}=%{FILEFLAGS:fflags} ]`, rpm); !strings.HasPrefix(got, b.version+" "+rpmArch+" localhost ") ||
				!strings.Contains(got, common[0]+"=cn ") {
				t.Error(got)
			}
		})
		t.Run("tar "+arch, func(t *testing.T) {
			var got []string
			for _, path := range strings.Fields(command(t, "", "tar", "-tzf", b.one(t, "-linux-"+arch+".tar.gz"))) {
				if dir, name, _ := strings.Cut(path, "/"); dir != "netmirror-"+b.version+"-linux-"+arch {
					t.Errorf("outside of its directory: %s", path)
				} else if name != "" {
					got = append(got, name)
				}
			}
			same(t, got, []string{"LICENSE", "README.md", "_netmirror", "install.md", "netmirror", "netmirror.1", "netmirror.bash", "netmirror.conf", "netmirror.service"})
		})
	}
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("it has %q\nwant %q", got, want)
	}
}

// TestSameBytes: a clone elsewhere, in another time zone, language and umask,
// makes the same packages. "make dist-check" is slower and shares no cache.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	b := build(t)
	if strings.Contains(b.version, "dirty") {
		t.Skip("something was changed since the last commit, which a clone has not")
	}
	clone := filepath.Join(t.TempDir(), "a clone")
	command(t, "..", "git", "clone", "--quiet", ".", clone)
	again, err := dist(clone, t.TempDir(), "ARCHS="+runtime.GOARCH, "TZ=Asia/Kolkata", "LC_ALL=C.UTF-8")
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(again.dir)
	if err != nil || len(files) != 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if f.Name() == "SHA256SUMS" {
			continue // it has fewer lines
		}
		one, err := os.ReadFile(filepath.Join(b.dir, f.Name()))
		if err != nil {
			t.Error(err)
			continue
		}
		two, err := os.ReadFile(filepath.Join(again.dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if string(one) != string(two) {
			t.Errorf("%s differs", f.Name())
		}
	}
}

// TestRPM: the rpm is installed and removed, with what its scripts do.
func TestRPM(t *testing.T) {
	t.Parallel()
	m := startMachine(t)
	_, err := exec.LookPath("rpm")
	needs(t, err == nil, "rpm")
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	// Its dependencies are another database's, as this is Debian.
	if out := m.run(t, "rpm", "--install", "--nodeps", "--force-debian", m.copyIn(t, build(t).one(t, "."+arch+".rpm"))); !strings.Contains(out, "systemctl enable --now netmirror") {
		t.Errorf("rpm does not say what to do next: %s", out)
	}
	m.run(t, "id", "netmirror")
	target := m.listen(t)
	m.fillIn(t, map[string]string{
		"iface": "lo", "vni": "42", "port": "8080", "to": target.Addr().String(), "http": "/run/netmirror/http.sock",
	})
	m.run(t, "systemctl", "enable", "--now", "netmirror")
	m.waitCapturing(t)
	m.checkForwards(t, target)
	m.run(t, "rpm", "--erase", "--nodeps", "--force-debian", "netmirror")
	if got := m.property(t, "LoadState") + " " + m.property(t, "ActiveState"); got != "not-found inactive" {
		t.Errorf("removed, and the service is %s", got)
	}
	if _, err := os.Stat(m.path("/usr/bin/netmirror")); err == nil {
		t.Error("removed, and the program is there")
	}
	if _, err := os.Stat(m.path(conf + ".rpmsave")); err != nil {
		t.Errorf("removed, and the settings that somebody filled in were not kept: %v", err)
	}
}

// TestOneGo: the packages and the container image are built by one compiler.
func TestOneGo(t *testing.T) {
	t.Parallel()
	version := func(file, pattern string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(pattern).FindSubmatch(text)
		if found == nil {
			t.Fatalf("no Go version in %s", file)
		}
		return string(found[1])
	}
	script := version("dist.sh", `GOTOOLCHAIN=go([0-9.]+)`)
	if image := version("docker/Dockerfile", `(?m)^FROM .*golang:([0-9.]+)`); image != script {
		t.Errorf("dist.sh has Go %s, the Dockerfile %s", script, image)
	}
}
