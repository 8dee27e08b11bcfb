package settings

import (
	"slices"
	"strings"
	"testing"
)

var replayFlags = []string{"replay", "--port", "8080", "--to", "host:80"}

// A replay needs neither an interface nor a VNI.
func TestReplayCalls(t *testing.T) {
	for _, tc := range []struct {
		name  string
		args  []string
		files []string
		speed speed
		loop  int
	}{
		{"a file, at its own pace", []string{"a.pcap"}, []string{"a.pcap"}, 1, 1},
		{"files, as fast as possible", []string{"--speed", "max", "a.pcap", "b.pcapng"}, []string{"a.pcap", "b.pcapng"}, 0, 1},
		{"standard input, ten times as fast", []string{"--speed=10", "-"}, []string{"-"}, 10, 1},
		{"three times", []string{"a.pcap", "--loop", "3", "--vni=42"}, []string{"a.pcap"}, 1, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, err := parse(t, nil, append(slices.Clone(replayFlags), tc.args...)...)
			if err != nil {
				t.Fatal(err)
			}
			if o.Replay == nil || o.Check != nil || !slices.Equal(o.Files, tc.files) || o.Replay.Speed != tc.speed || o.Replay.Loop != tc.loop {
				t.Errorf("%+v of %q", o.Replay, o.Files)
			}
		})
	}
}

// A file and an environment that a live netmirror has too are good for a replay.
func TestReplayWithSharedSettings(t *testing.T) {
	t.Setenv("NETMIRROR_RING_WAIT", "2ms")
	path := config(t, "[Capture]\niface = eth0\ncapture = udp\nring-mib = 5\nbusy-poll = 1ms\n[Reporting]\nhttp = :1\nready-drops = true\n[Service a]\nvni = 42\nport = 80\nto = a:80\n")
	if o, err := parse(t, nil, "replay", "--config", path, "f"); err != nil || o.Capture.RingMiB != 5 {
		t.Errorf("%v", err)
	}
	// The live one may have its --http on the command line.
	for _, iface := range []string{"iface = eth0\niface = eth1", "iface = any"} {
		path := config(t, "[Capture]\n"+iface+"\n[Reporting]\nready-drops = true\n[Service a]\nvni = 42\nport = 80\nto = a:80\n")
		for _, args := range [][]string{{"replay", "f"}, {"check", "--read=f"}} {
			if _, err := parse(t, nil, append(args, "--config="+path)...); err != nil {
				t.Errorf("%s with %s: %v", args[0], iface, err)
			}
		}
	}
}

func TestWrongReplayCalls(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want string // in the message
	}{
		{"no file", replayFlags, "no file"},
		{"neither port nor target nor file", []string{"replay"}, "with --port; no target: give the shadow service as --to HOST:PORT; no file"},
		{"no port", []string{"replay", "--to=a:1", "f"}, "--port"},
		{"a flag of a live capture", append(slices.Clone(replayFlags), "--ring-mib=5", "f"), "--ring-mib is for a capture on an interface, and replay reads files; leave it out"},
		{"flags of a live capture", append(slices.Clone(replayFlags), "-i", "lo", "--capture=udp", "--ready-drops", "--http=:1", "f"), "--capture, --iface, --ready-drops are for a capture on an interface"},
		{"no target", []string{"replay", "--port=1", "f"}, "--to"},
		{"a file without a name", append(slices.Clone(replayFlags), "f", ""), "the name of a capture file is empty; give its path, or - for standard input"},
		{"a file without a name to check", []string{"check", "--read="}, "the name of a capture file is empty"},
		{"a time for a file to check", []string{"check", "--read=f", "--time=3s"}, "--time is for a capture on an interface, and check --read reads files; leave it out"},
		{"an interface for a file to check", []string{"check", "-i", "lo", "--read=f", "--time=3s"}, "--iface, --time are for a capture on an interface, and check --read reads files; leave them out"},
		{"speed 0", append(slices.Clone(replayFlags), "--speed=0", "f"), `speed "0" is neither a number above 0 nor max`},
		{"a speed that is no number", append(slices.Clone(replayFlags), "--speed=NaN", "f"), "neither a number above 0 nor max"},
		{"an endless speed", append(slices.Clone(replayFlags), "--speed=Inf", "f"), "neither a number above 0 nor max"},
		{"no loop", append(slices.Clone(replayFlags), "--loop=0", "f"), "--loop 0: must be 1 or more"},
		{"standard input twice", append(slices.Clone(replayFlags), "--loop=2", "-"), "standard input cannot be played again"},
		{"the speed twice", append(slices.Clone(replayFlags), "--speed=1", "--speed=2", "f"), "--speed is given 2 times (1, 2)"},
		{"the speed without replay", append(slices.Clone(fourFlags), "--speed=1"), "speed"},
	} {
		if _, err := parse(t, nil, tc.args...); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q", tc.name, err, tc.want)
		}
	}
}
