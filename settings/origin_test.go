package settings

import (
	"io"
	"slices"
	"strings"
	"testing"
)

// What is wrong is named with where it came from, which is not the call that was typed.
func TestWhereAWrongValueComesFrom(t *testing.T) {
	type env = map[string]string
	file := config(t, "[Budgets]\nmax-conns = 0\n[Target]\nto = a:b\n")
	right := []string{"--iface=lo", "--vni=1", "--port=1"}
	for _, tc := range []struct {
		name string
		env  env
		args []string
		want string
	}{
		{"a variable that is no time", env{"NETMIRROR_GAP_TIMEOUT": "soon"}, fourFlags, "(from the environment variable NETMIRROR_GAP_TIMEOUT); see netmirror --help"},
		{"a variable that is no truth value", env{"NETMIRROR_HTTP_PPROF": "yes"}, fourFlags, `"yes" is neither true nor false (from the environment variable NETMIRROR_HTTP_PPROF)`},
		{"a variable of a switch that is empty", env{"NETMIRROR_TLS_INSECURE": ""}, fourFlags, "--tls-insecure: an empty value is neither true nor false (from the environment variable NETMIRROR_TLS_INSECURE); see netmirror --help"},
		{"a variable that is no choice", env{"NETMIRROR_ENCAP": "x"}, fourFlags, "Invalid value `x' for option `--encap'. Allowed values are: auto, vxlan, vxlan-gpe, geneve, gre, erspan, tzsp or none (from the environment variable NETMIRROR_ENCAP)"},
		{"a variable of a flag that is short too", env{"NETMIRROR_PORT": "tcp://10.0.0.1:80"}, []string{"--iface=lo", "--vni=1", "--to=a:80"}, "(from the environment variable NETMIRROR_PORT)"},
		{"a number out of bounds", env{"NETMIRROR_MAX_CONNS": "0"}, fourFlags, "--max-conns 0: need 1 to 1048576 (from the environment variable NETMIRROR_MAX_CONNS)"},
		{"a time out of bounds", env{"NETMIRROR_IDLE_TIMEOUT": "0s"}, fourFlags, "--idle-timeout 0s: must be more than 0 (from the environment variable NETMIRROR_IDLE_TIMEOUT)"},
		{"a switch that takes another flag", env{"NETMIRROR_READY_DROPS": "true"}, fourFlags, "or leave --ready-drops out (from the environment variable NETMIRROR_READY_DROPS)"},
		{"one of vxlan-to-http's", env{"MAX_RETRIES": "31"}, fourFlags, "--max-retries 31: need 0 to 30 (from the environment variable MAX_RETRIES)"},
		{"a target", env{"NETMIRROR_TO": "a"}, right, `target "a": the port is missing; write HOST:PORT (from the environment variable NETMIRROR_TO)`},
		{"a settings file", env{"NETMIRROR_CONFIG": "/nowhere/netmirror.conf"}, fourFlags, "/nowhere/netmirror.conf: no such file or directory; correct the path (from the environment variable NETMIRROR_CONFIG)"},
		{"a service", env{"NETMIRROR_FORWARD": "1:1=a"}, []string{"--iface=lo"}, "(from the environment variable NETMIRROR_FORWARD)"},
		{"the file", nil, append([]string{"--config=" + file, "--to=a:80"}, right...), "--max-conns 0: need 1 to 1048576 (max-conns in [Budgets] of " + file + ")"},
		{"a target of the file", nil, append([]string{"--config=" + file, "--max-conns=1"}, right...), `target "a:b": port "b" is not a number from 1 to 65535 (to in [Target] of ` + file + ")"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := parse(t, tc.env, tc.args...)
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want one line with %q", err, tc.want)
			}
		})
	}
	for _, tc := range []struct {
		name string
		env  env
		args []string
	}{
		{"the call, with a variable that is right", env{"NETMIRROR_GAP_TIMEOUT": "1s"}, append([]string{"--gap-timeout=soon"}, fourFlags...)},
		{"the call, with a variable that is wrong too", env{"NETMIRROR_MAX_CONNS": "0"}, append([]string{"--max-conns=-1"}, fourFlags...)},
		{"the call, with an empty variable of its switch", env{"NETMIRROR_HTTP_PPROF": ""}, append([]string{"--http-pprof"}, fourFlags...)},
		{"the words", env{"NETMIRROR_TO": "a:80"}, []string{"lo", "1", "1", "b"}},
		{"a section's own value, with a variable for the others", env{"NETMIRROR_MAX_RETRIES": "1"},
			[]string{"--iface=lo", "--config", config(t, "[Service a]\nvni=1\nport=1\nto=a:1\nmax-retries=31\n")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := parse(t, tc.env, tc.args...); err == nil || strings.Contains(err.Error(), "environment") || strings.Contains(err.Error(), " of /") {
				t.Errorf("%v, want an error of the call", err)
			}
		})
	}
}

// A section's wrong values are told of with its name.
func TestWhereInASection(t *testing.T) {
	const right = "[Service shop]\nvni = 1\nport = 1\n"
	for text, want := range map[string]string{
		right + "to = b\n":                                            `[Service shop]: target "b": the port is missing; write HOST:PORT`,
		right + "to = b:1\nsample = 10\n":                             `[Service shop]: --sample: share "10"`,
		right + "to = b:1 # old\n":                                    `port "1 # old" is not a number from 1 to 65535; a comment needs a line of its own`,
		right + "to = b:1\nsample = 10% ; less\n":                     `at most 100%; a comment needs a line of its own`,
		"[Target]\nto = b:1 # old\n" + "[Selection]\nvni=1\nport=1\n": `; a comment needs a line of its own (to in [Target] of `,
		right + "to = a:1\nto = http://b\n":                           `[Service shop]: target "http://b": HTTP is forwarded as bytes`,
	} {
		if _, err := parse(t, nil, "--iface=lo", "--config", config(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// A variable that is mistyped would else set nothing, and nobody would know.
func TestUnknownVariables(t *testing.T) {
	o, err := Parse(Call{Program: "netmirror", Args: fourFlags, Getenv: func(string) string { return "" }, Stdout: io.Discard, Environ: []string{
		"NETMIRROR_GAPTIMEOUT=1s", "NETMIRROR_GAP_TIMEOUT=1s", "NETMIRROR_FROBNICATE=1", "NETMIRROR_TIME=1s", "NETMIRROR_COMPLETION=1", "HOME=/", "NETMIRRORS=1",
		// Kubernetes' for Services called netmirror and netmirror-metrics.
		"NETMIRROR_SERVICE_HOST=10.0.0.1", "NETMIRROR_SERVICE_PORT=80", "NETMIRROR_SERVICE_PORT_HTTP=80",
		"NETMIRROR_PORT_80_TCP=tcp://10.0.0.1:80", "NETMIRROR_PORT_80_TCP_ADDR=10.0.0.1", "NETMIRROR_METRICS_SERVICE_HOST=10.0.0.1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"NETMIRROR_GAPTIMEOUT; did you mean NETMIRROR_GAP_TIMEOUT?", "NETMIRROR_FROBNICATE", "NETMIRROR_TIME; write netmirror check --time instead"}
	if !slices.Equal(o.UnknownVariables, want) {
		t.Errorf("%q, want %q", o.UnknownVariables, want)
	}
}
