package deploy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

const manifestFile = "kubernetes/netmirror.yaml"

// manifest are the documents of the Kubernetes manifest.
func manifest(t *testing.T) []map[string]any {
	t.Helper()
	data, err := os.ReadFile(manifestFile)
	if err != nil {
		t.Fatal(err)
	}
	return documents(t, data)
}

// documents are those of a stream of YAML.
func documents(t *testing.T, data []byte) (all []map[string]any) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader(data)) // which takes no key twice
	for {
		var m map[string]any
		err := d.Decode(&m)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
}

// ofKind is the first document of a kind.
func ofKind(t *testing.T, all []map[string]any, kind string) map[string]any {
	t.Helper()
	for _, d := range all {
		if d["kind"] == kind {
			return d
		}
	}
	t.Fatalf("there is no %s", kind)
	return nil
}

// at goes down into a document by keys and numbers.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok || m[step] == nil {
				t.Fatalf("nothing at %v", path)
			}
			v = m[step]
		case int:
			list, ok := v.([]any)
			if !ok || len(list) <= step {
				t.Fatalf("nothing at %v", path)
			}
			v = list[step]
		}
	}
	return v
}

// TestManifest sees that what depends on each other fits: the grace period and
// the memory to the settings, the ports and the probes to --http.
func TestManifest(t *testing.T) {
	pod := at(t, ofKind(t, manifest(t), "Deployment"), "spec", "template", "spec").(map[string]any)
	container := at(t, pod, "containers", 0)
	env := make(map[string]string)
	for _, e := range at(t, container, "env").([]any) {
		value, ok := at(t, e, "value").(string)
		if !ok {
			t.Errorf("the value of %v is no string, which Kubernetes refuses", at(t, e, "name"))
		}
		env[at(t, e, "name").(string)] = value
	}
	for _, name := range []string{"VNI", "PORT", "TO"} {
		if env["NETMIRROR_"+name] == "" {
			t.Errorf("NETMIRROR_%s is not set", name)
		}
	}
	context := at(t, container, "securityContext").(map[string]any)
	if got := fmt.Sprint(context["capabilities"]); env["NETMIRROR_CAPTURE"] != "udp" || got != "map[drop:[ALL]]" {
		t.Errorf("capture %q with the capabilities %s", env["NETMIRROR_CAPTURE"], got)
	}
	if at(t, pod, "securityContext", "runAsNonRoot") != true || at(t, pod, "securityContext", "runAsUser") == 0 || context["allowPrivilegeEscalation"] != false {
		t.Errorf("it may become root: %v", context)
	}
	if context["readOnlyRootFilesystem"] != true || context["privileged"] != nil || context["runAsUser"] != nil {
		t.Errorf("the container has more than it needs: %v", context)
	}
	for _, key := range []string{"hostNetwork", "hostPID", "hostIPC", "volumes"} {
		if pod[key] != nil {
			t.Errorf("the pod has %s", key)
		}
	}
	if env["NETMIRROR_ENCAP"] != "vxlan" { // whose port is the only one that is let in
		t.Errorf("NETMIRROR_ENCAP is %q", env["NETMIRROR_ENCAP"])
	}
	stop, err := time.ParseDuration(env["NETMIRROR_SHUTDOWN_TIMEOUT"])
	if grace := time.Duration(at(t, pod, "terminationGracePeriodSeconds").(int)) * time.Second; err != nil || grace < stop+5*time.Second {
		t.Errorf("%v to stop in, and NETMIRROR_SHUTDOWN_TIMEOUT is %v, %v", grace, stop, err)
	}
	mib := func(name string) int {
		n, err := strconv.Atoi(env[name])
		if err != nil {
			t.Error(err)
		}
		return n
	}
	need := mib("NETMIRROR_TOTAL_MIB") + mib("NETMIRROR_RING_MIB") + 80
	if limit := at(t, container, "resources", "limits", "memory"); limit != "1Gi" || need > 1024*9/10 {
		t.Errorf("netmirror may take %d MiB, and the limit is %v", need, limit)
	}
	host, port, _ := strings.Cut(env["NETMIRROR_HTTP"], ":")
	if host != "0.0.0.0" {
		t.Errorf("no probe reaches %q", env["NETMIRROR_HTTP"])
	}
	ports := make(map[string]string)
	for _, p := range at(t, container, "ports").([]any) {
		ports[at(t, p, "name").(string)] = fmt.Sprint(at(t, p, "containerPort"), "/", at(t, p, "protocol"))
	}
	if ports["http"] != port+"/TCP" || ports["mirror"] != "4789/UDP" {
		t.Errorf("ports %v, --http %s", ports, env["NETMIRROR_HTTP"])
	}
	for probe, path := range map[string]string{"livenessProbe": "/healthz", "readinessProbe": "/readyz"} {
		if got := at(t, container, probe, "httpGet", "path"); got != path {
			t.Errorf("%s asks %v", probe, got)
		}
	}
}
