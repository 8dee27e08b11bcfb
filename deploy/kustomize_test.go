package deploy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const kustomize = "sigs.k8s.io/kustomize/kustomize/v5@v5.8.0"

// render is what kustomize makes of the overlay, with other settings where conf
// is not empty.
func render(t *testing.T, conf string) []map[string]any {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"kubernetes", "kustomize"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(name)); err != nil {
			t.Fatal(err)
		}
	}
	if conf != "" {
		if err := os.WriteFile(filepath.Join(dir, "kustomize", "netmirror.conf"), []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return documents(t, []byte(command(t, "..", "go", "run", kustomize, "build", filepath.Join(dir, "kustomize"))))
}

// TestKustomize sees that the overlay changes what it is to change, and nothing else.
func TestKustomize(t *testing.T) {
	t.Parallel()
	rendered := render(t, "")
	settings := ofKind(t, rendered, "ConfigMap")
	name := at(t, settings, "metadata", "name").(string)
	conf, err := os.ReadFile("kustomize/netmirror.conf")
	if err != nil {
		t.Fatal(err)
	}
	if got := at(t, settings, "data", "netmirror.conf"); got != string(conf) {
		t.Errorf("the settings are %q", got)
	}
	other := at(t, ofKind(t, render(t, "[Service a]\nvni = 1\n"), "ConfigMap"), "metadata", "name")
	if other == name || !strings.HasPrefix(name, "netmirror-settings-") {
		t.Errorf("other settings are in %v too, so that no new pod starts", other)
	}

	deployment := ofKind(t, rendered, "Deployment")
	pod := at(t, deployment, "spec", "template", "spec").(map[string]any)
	container := at(t, pod, "containers", 0).(map[string]any)
	env := make(map[string]any)
	for _, e := range at(t, container, "env").([]any) {
		env[at(t, e, "name").(string)] = at(t, e, "value")
	}
	mount := at(t, container, "volumeMounts", 0)
	if file := fmt.Sprint(at(t, mount, "mountPath"), "/netmirror.conf"); env["NETMIRROR_CONFIG"] != file {
		t.Errorf("--config is %v, and the file %s", env["NETMIRROR_CONFIG"], file)
	}
	if volume := at(t, pod, "volumes", 0); at(t, volume, "name") != at(t, mount, "name") || at(t, volume, "configMap", "name") != name {
		t.Errorf("the volume is %v, the mount %v, the ConfigMap %s", volume, mount, name)
	}

	// Undone, it is the base.
	base := manifest(t)
	was := at(t, ofKind(t, base, "Deployment"), "spec", "template", "spec", "containers", 0, "env").([]any)
	for _, e := range was {
		name := at(t, e, "name").(string)
		switch _, there := env[name]; name {
		case "NETMIRROR_VNI", "NETMIRROR_PORT", "NETMIRROR_TO":
			if there {
				t.Errorf("%s is set beside the file", name)
			}
		default:
			if env[name] != at(t, e, "value") {
				t.Errorf("%s is %v, in the base %v", name, env[name], at(t, e, "value"))
			}
		}
	}
	container["env"] = was
	delete(container, "volumeMounts")
	delete(pod, "volumes")
	if len(rendered) != len(base)+1 {
		t.Errorf("%d documents, the base has %d", len(rendered), len(base))
	}
	for _, want := range base {
		found := false
		for _, got := range rendered {
			found = found || reflect.DeepEqual(got, want)
		}
		if !found {
			t.Errorf("the overlay has changed %v %v", want["kind"], at(t, want, "metadata", "name"))
		}
	}
}
