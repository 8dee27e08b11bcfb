package tap

import (
	"strings"
	"testing"
)

func TestGrant(t *testing.T) {
	const raw, bind = "CAP_NET_RAW", "CAP_NET_BIND_SERVICE"
	for _, tt := range []struct {
		name         string
		user         int
		capabilities []string
		says, not    string
	}{
		{"a user", 1000, []string{raw}, "run as root, or: sudo setcap cap_net_raw+ep /", "docker"},
		{"a user, at a low port", 1000, []string{raw, bind}, "setcap cap_net_raw,cap_net_bind_service+ep /", "docker"},
		{"root, from whom it was taken", 0, []string{raw}, "(docker run --cap-add NET_RAW; AmbientCapabilities=CAP_NET_RAW;", "setcap"},
		{"root, at a low port", 0, []string{raw, bind}, "AmbientCapabilities=CAP_NET_RAW CAP_NET_BIND_SERVICE;", "run as root"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := grant(tt.user, tt.capabilities)
			if !strings.Contains(got, tt.says) || strings.Contains(got, tt.not) {
				t.Errorf("it says %q, want %q and not %q", got, tt.says, tt.not)
			}
		})
	}
}
