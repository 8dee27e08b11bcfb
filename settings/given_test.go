package settings

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The command that check prints has all flags that check came with, whatever they are for.
func TestGivenToCheck(t *testing.T) {
	file := config(t, "[Capture]\niface = lo\n[Selection]\nvni = 42\nvni = 43\nport = 80,90-99\n[Reporting]\nhttp = :9093\n")
	for _, tt := range []struct {
		args, want string
		file       map[string][]string
	}{
		{"--iface=lo --to=tls://a:443 --tls-insecure --mark=0x2a --proxy-protocol=v1", "--proxy-protocol v1 --mark 42 --tls-insecure", map[string][]string{}},
		{"-i lo -n 42 -p 80 -t a:80 --time 1s --workers=2 --http :9 --nice=-5 --clients 10.0.0.0/8,::1 --only-path=/a,/b --sample 1/64",
			"--sample 1/64 --clients 10.0.0.0/8,::1 --only-path /a --only-path /b --http :9 --workers 2 --nice=-5", map[string][]string{}},
		{"--iface lo --vni 42 --port 80 --to a:80 --to b:80", "--vni 42 --port 80 --to a:80 --to b:80", map[string][]string{}},
		{"--read a.pcap --port 80 --ring-mib 5 --ready-drops --http :9", "--http :9", map[string][]string{}},
		{"--port 81 --config " + file, "--config " + file, map[string][]string{"iface": {"lo"}, "vni": {"42", "43"}}},
		{"--gap-timeout 1s --config " + file, "--gap-timeout 1s --config " + file,
			map[string][]string{"iface": {"lo"}, "vni": {"42", "43"}, "port": {"80,90-99"}}},
	} {
		o, err := parse(t, nil, append([]string{"check"}, strings.Fields(tt.args)...)...)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(o.Given.Args, " "); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.args, got, tt.want)
		}
		if diff := cmp.Diff(tt.file, o.Given.File); diff != "" {
			t.Errorf("%s: from the file (-want +got):\n%s", tt.args, diff)
		}
	}
	os.Setenv("NETMIRROR_MAX_RATE", "7")
	defer os.Unsetenv("NETMIRROR_MAX_RATE")
	o, err := parse(t, map[string]string{"MAX_RETRIES": "3"}, "check", "--iface", "lo", "--mark-requests", "X-Shadow: 1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"--max-rate", "7", "--max-retries", "3", "--mark-requests", "X-Shadow: 1"}, o.Given.Args); diff != "" {
		t.Errorf("of the environment (-want +got):\n%s", diff)
	}
}
