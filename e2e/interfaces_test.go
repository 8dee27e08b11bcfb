package e2e

import (
	"fmt"
	"testing"

	"netmirror/e2e/lab"
)

// Rings of several interfaces: the mirror's packets come by one of them.
func TestSeveralInterfaces(t *testing.T) {
	for _, row := range []struct {
		name string
		args []string
	}{
		{"any", []string{"--iface", "any", "--workers", "2"}},
		{"two", []string{"--iface", lab.ShadowLink, "--iface", lab.MirrorLink}},
		{"two, and two workers", []string{"--iface", lab.MirrorLink, "--iface", lab.ShadowLink, "--workers", "2"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := setServices(t, lab.Options{BothDirections: true}, nil)
			s.netmirror = start(t, s.Mon, netmirrorPath, append([]string{
				"--vni", "42", "--port", fmt.Sprint(servicePort), "--to", s.Shadow(shadowPort).String(),
			}, row.args...)...)
			s.ready(t)
			s.run(t, mixed)
		})
	}
}
