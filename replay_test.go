package main

import (
	"bytes"
	"os"
	"path/filepath"
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
			if o.replaying == nil || o.checking != nil || !slices.Equal(o.files, tc.files) || o.replaying.Speed != tc.speed || o.replaying.Loop != tc.loop {
				t.Errorf("%+v of %q", o.replaying, o.files)
			}
		})
	}
}

func TestWrongReplayCalls(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want string // in the message
	}{
		{"no file", replayFlags, "no file"},
		{"no port", []string{"replay", "--to=a:1", "f"}, "--port"},
		{"no target", []string{"replay", "--port=1", "f"}, "--to"},
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

// A look at a file says what is in it and how to play it.
func TestCheckOfAFile(t *testing.T) {
	for _, tc := range []struct {
		name, file string
		args       []string
		status     int
		want       []string
	}{
		{"a host's packets", "capfile/testdata/micro.pcap", nil, 0,
			[]string{"a host's packets", "4 packets of clients in 1 connection", "HTTP/1", "netmirror replay --port 80 --to HOST:PORT capfile/testdata/micro.pcap\n"}},
		{"another port", "capfile/testdata/micro.pcap", []string{"--port=81"}, 1, []string{"FAULT", "80"}},
		{"a file that was cut off", "capfile/testdata/half.pcap", nil, 0, []string{"2 packets", "ends in the middle of a packet"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			status := run(t.Context(), append([]string{"netmirror", "check", "--read", tc.file}, tc.args...), os.Getenv, &out, &errs)
			if status != tc.status {
				t.Errorf("exit status %d, want %d", status, tc.status)
			}
			for _, want := range tc.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s%s", want, &out, &errs)
				}
			}
		})
	}
}

// A file that cannot be read is one line, which names it once.
func TestWrongFiles(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct{ name, content, want string }{
		{"text", "hello, world", "neither pcap nor pcapng"},
		{"half-a-header", "\xd4\xc3\xb2\xa1\x02\x00", "ends within its header"},
		{"bad.gz", "\x1f\x8b??????????", "not a capture file that can be read: gzip"},
		{"bad.zst", "\x28\xb5\x2f\xfd????????", "not a capture file that can be read"},
		{"cut.gz", "\x1f\x8b\x08\x00", "ends within its header"},
		{"", "", "is a directory"},
		{"nothing", "", "no such file"},
	} {
		path := filepath.Join(dir, tc.name)
		if tc.content != "" {
			if err := os.WriteFile(path, []byte(tc.content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var out, errs bytes.Buffer
		status := run(t.Context(), append(append([]string{"netmirror"}, replayFlags...), path), os.Getenv, &out, &errs)
		said := errs.String()
		if status != 1 || out.Len() > 0 || strings.Count(said, "\n") != 1 || !strings.Contains(said, tc.want) || strings.Count(said, path) != 1 {
			t.Errorf("%q: status %d, %q and %q; want 1 and one line with %q", tc.name, status, &out, said, tc.want)
		}
	}
}
