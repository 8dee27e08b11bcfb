package deploy_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// image is the container image that deploy/docker makes of this work tree, with
// its files in a directory.
type image struct {
	rootfs string
	config struct { // of the OCI image specification
		User, StopSignal string
		Entrypoint       []string
	}
}

// buildImage runs the Dockerfile with buildah. Nothing is pulled: the image that
// it starts from is made here, under that name, and has the programs of this
// machine, on which the build can write without a trace.
func buildImage(t *testing.T) image {
	t.Helper()
	needs(t, os.Geteuid() == 0, "root")
	dir := t.TempDir()
	buildah := func(args ...string) string {
		t.Helper()
		storage := []string{"--root", filepath.Join(dir, "store"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs"}
		return strings.TrimSpace(command(t, "..", "buildah", append(storage, args...)...))
	}
	text, err := os.ReadFile("docker/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	from := regexp.MustCompile(`(?m)^FROM .*(golang:\S+) AS build$`).FindSubmatch(text)
	if from == nil {
		t.Fatal("the Dockerfile does not start from Go's image")
	}
	base := buildah("from", "scratch")
	buildah("copy", "--quiet", base, baseFiles(t), "/")
	goroot := strings.TrimSpace(command(t, "..", "go", "env", "GOROOT"))
	buildah("config", "--env", "PATH="+goroot+"/bin:/usr/sbin:/usr/bin", "--env", "GOMODCACHE=/mnt/mod", "--env", "GOCACHE=/mnt/build", base)
	buildah("commit", "--quiet", base, "docker.io/library/"+string(from[1]))

	build := []string{"build", "--quiet", "--pull-never", "--isolation", "chroot", "--network", "host", "--file", "deploy/docker/Dockerfile",
		"--build-arg", "TARGETARCH=" + runtime.GOARCH, "--build-arg", "VERSION=1.2.3", "--tag", "netmirror"}
	caches := strings.Fields(command(t, "..", "go", "env", "GOMODCACHE", "GOCACHE"))
	volumes := []string{"/usr:/usr", "/etc:/etc", "/var:/var", caches[0] + ":/mnt/mod", caches[1] + ":/mnt/build"}
	if !strings.HasPrefix(goroot, "/usr/") {
		volumes = append(volumes, goroot+":"+goroot)
	}
	for _, v := range volumes {
		build = append(build, "--volume", v+":O") // what is written there is thrown away
	}
	buildah(append(build, ".")...)

	var i image
	var all struct{ OCIv1 struct{ Config any } }
	all.OCIv1.Config = &i.config
	if err := json.Unmarshal([]byte(buildah("inspect", "--type", "image", "localhost/netmirror")), &all); err != nil {
		t.Fatal(err)
	}
	i.rootfs = buildah("mount", buildah("from", "--pull-never", "localhost/netmirror"))
	return i
}

// baseFiles is a directory with what a root has beside /usr, /etc and /var.
func baseFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var errs []error
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		errs = append(errs, os.Symlink("usr/"+name, filepath.Join(dir, name)))
	}
	for _, name := range []string{"dev", "etc", "mnt", "proc", "root", "run", "sys", "tmp", "usr", "var"} {
		errs = append(errs, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	errs = append(errs, os.Chmod(filepath.Join(dir, "tmp"), 0o777|os.ModeSticky))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return dir
}

// runc is a call of runc that runs the image as a runtime of Kubernetes' does,
// in the network of the caller: see the OCI runtime specification.
func (i image) runc(t *testing.T, p podSpec) *exec.Cmd {
	t.Helper()
	_, err := exec.LookPath("runc")
	needs(t, err == nil, "runc")
	dir := t.TempDir()
	var namespaces []map[string]string
	for _, kind := range []string{"pid", "ipc", "uts", "mount"} {
		namespaces = append(namespaces, map[string]string{"type": kind})
	}
	spec := map[string]any{
		"ociVersion": "1.0.2",
		"process": map[string]any{
			"user":            map[string]int{"uid": p.uid, "gid": p.gid},
			"args":            i.config.Entrypoint,
			"env":             p.env,
			"cwd":             "/",
			"capabilities":    map[string]any{}, // drop: [ALL]
			"noNewPrivileges": p.noNewPrivileges,
		},
		"root": map[string]any{"path": i.rootfs, "readonly": p.readOnly},
		"mounts": append([]map[string]any{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": []string{"nosuid", "noexec", "nodev", "ro"}},
		}, p.mounts...),
		"linux": map[string]any{
			"namespaces":  namespaces,
			"cgroupsPath": "/" + p.name,
			"resources":   map[string]any{"memory": map[string]int{"limit": p.memory}},
		},
	}
	data, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "state")
	t.Cleanup(func() { // where the test has not ended it
		_ = exec.Command("runc", "--root", state, "delete", "--force", p.name).Run()
	})
	return exec.Command("runc", "--root", state, "run", "--bundle", dir, "--pid-file", filepath.Join(dir, "pid"), p.name)
}

// podSpec is what a manifest asks a runtime for.
type podSpec struct {
	name                      string
	env                       []string
	uid, gid, memory          int
	noNewPrivileges, readOnly bool
	mounts                    []map[string]any
}

// podOf reads a pod, which has one container.
func podOf(t *testing.T, pod map[string]any) podSpec {
	t.Helper()
	container := at(t, pod, "containers", 0)
	context := at(t, container, "securityContext")
	p := podSpec{
		name:            fmt.Sprintf("netmirror-test-%d", os.Getpid()),
		uid:             at(t, pod, "securityContext", "runAsUser").(int),
		gid:             at(t, pod, "securityContext", "runAsGroup").(int),
		readOnly:        at(t, context, "readOnlyRootFilesystem").(bool),
		noNewPrivileges: !at(t, context, "allowPrivilegeEscalation").(bool),
	}
	if _, err := fmt.Sscanf(at(t, container, "resources", "limits", "memory").(string), "%dGi", &p.memory); err != nil {
		t.Fatal(err)
	}
	p.memory <<= 30
	for _, e := range at(t, container, "env").([]any) {
		p.env = append(p.env, fmt.Sprint(at(t, e, "name"), "=", at(t, e, "value")))
	}
	return p
}
