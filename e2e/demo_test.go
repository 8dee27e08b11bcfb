package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"netmirror/e2e/lab"
)

func TestDemo(t *testing.T) {
	buildLab(t, lab.Options{}) // skips where there can be no lab
	demo := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.Command("go", "build", "-o", demo, "netmirror/e2e/demo").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(deadline(t), demo, "-netmirror", netmirrorPath, "-for", "1s").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "every one identical") {
		t.Errorf("%v\n%s", err, out)
	}
}
