package e2e

import (
	"strings"
	"testing"
)

// A nice value that is not permitted ends the start with what to do.
func TestNiceWithoutPrivilege(t *testing.T) {
	cmd := unprivileged(t, "--capture", "udp", "--vni", "42", "--port", "80", "--to", "127.0.0.1:9", "--nice", "-5")
	var errs strings.Builder
	cmd.Env, cmd.Stderr = environment(), &errs
	if err := cmd.Run(); err == nil || !strings.Contains(errs.String(), "nice value -5: permission denied: it needs CAP_SYS_NICE, or a limit (ulimit -e) of 25;") {
		t.Errorf("%v: %s", err, errs.String())
	}
}
