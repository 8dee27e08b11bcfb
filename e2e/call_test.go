package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"netmirror/e2e/lab"
)

// The call of vxlan-to-http: four words, settings from the environment.
func TestDropInCall(t *testing.T) {
	link := filepath.Join(t.TempDir(), "vxlan-to-http")
	if err := os.Symlink(netmirrorPath, link); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, path string }{
		{"as netmirror", netmirrorPath},
		{"as vxlan-to-http", link},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := setServices(t, lab.Options{}, nil)
			cmd := exec.Command(tt.path, lab.MirrorLink, "42", fmt.Sprint(servicePort), s.Shadow(shadowPort).String())
			cmd.Env = environment("RUST_LOG=info", "MAX_PENDING_PACKETS=100", "MAX_RETRIES=1", "NUM_THREADS=2")
			s.netmirror = startCommand(t, s.Mon, cmd)
			s.ready(t)
			s.run(t, connections(100, 4, 5, 8<<10))
		})
	}
}
