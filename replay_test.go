package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"netmirror/status"
	"netmirror/wire/wiretest"
)

var replayFlags = []string{"replay", "--port", "8080", "--to", "host:80"}

// A look at a file says what is in it and how to play it.
func TestCheckOfAFile(t *testing.T) {
	config := filepath.Join(t.TempDir(), "netmirror.conf")
	if err := os.WriteFile(config, []byte("[Selection]\nport = 80\n[Reporting]\nhttp = :9093\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty.pcap")
	var header bytes.Buffer
	if err := pcapgo.NewWriter(&header).WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(empty, header.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, file string
		args       []string
		status     int
		want       []string
	}{
		{"a host's packets", "capfile/testdata/micro.pcap", nil, 0,
			[]string{"a host's packets", "4 packets of clients in 1 connection", "HTTP/1", "netmirror replay --port 80 --to HOST:PORT capfile/testdata/micro.pcap\n"}},
		{"two services, of which one is not there", "capfile/testdata/micro.pcap", []string{"--forward=shop=42:80=127.0.0.1:1", "--forward=43:81=127.0.0.1:1"}, 1,
			[]string{"shop (port 80):", "FAULT target 127.0.0.1:1", "43:81 (port 81):", "FAULT service: no packets of TCP port 81; seen: 80 (", "verdict: not yet for 2 of the 2 services"}},
		{"a list of ports", "capfile/testdata/micro.pcap", []string{"--port=79-81"}, 0, []string{"netmirror replay --port 79-81 --to HOST:PORT"}},
		{"filters and marks", "capfile/testdata/micro.pcap", []string{"--port=80", "--only-path=/api", "--mark-requests", "X-Shadow: 1", "--max-rate=7"}, 0,
			[]string{"netmirror replay --port 80 --to HOST:PORT --max-rate 7 --mark-requests 'X-Shadow: 1' --only-path /api capfile/testdata/micro.pcap\n"}},
		{"a settings file", "capfile/testdata/micro.pcap", []string{"--config=" + config}, 0,
			[]string{"netmirror replay --to HOST:PORT --config " + config + " capfile/testdata/micro.pcap\n"}},
		{"another port", "capfile/testdata/micro.pcap", []string{"--port=81"}, 1, []string{"FAULT", "80"}},
		{"a host's packets that are said to be a mirror's", "capfile/testdata/micro.pcap", []string{"--vni=42"}, 1,
			[]string{"FAULT mirror: 4 packets in the file, and none is VXLAN", "first, leave --vni out, if the file has a host's packets"}},
		{"no packet", empty, nil, 1, []string{"reading " + empty + " ...", "there is no packet in it"}},
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

// With --vni any, a service is the same in all VNIs that its packets come with.
func TestCheckOfAnyVNI(t *testing.T) {
	host, err := os.ReadFile("capfile/testdata/micro.pcap")
	if err != nil {
		t.Fatal(err)
	}
	packets, err := pcapgo.NewReader(bytes.NewReader(host))
	if err != nil {
		t.Fatal(err)
	}
	var mirror bytes.Buffer
	w := pcapgo.NewWriter(&mirror)
	if err := w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for data, info, err := packets.ReadPacketData(); err == nil; data, info, err = packets.ReadPacketData() {
		for _, vni := range []byte{42, 43} {
			vxlan := append([]byte{8, 0, 0, 0, 0, 0, vni, 0}, data...)
			frame := wiretest.Packet(t, wiretest.Ether(wiretest.V4), wiretest.IP4(nil), wiretest.UDPTo(4789), vxlan)
			info.CaptureLength, info.Length = len(frame), len(frame)
			if err := w.WritePacket(info, frame); err != nil {
				t.Fatal(err)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "two.pcap")
	if err := os.WriteFile(path, mirror.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	status := run(t.Context(), []string{"netmirror", "check", "--read", path, "--vni=any", "--port=80"}, os.Getenv, &out, &errs)
	if want := "netmirror replay --vni any --port 80 --to HOST:PORT " + path; status != 0 || !strings.Contains(out.String(), want) {
		t.Errorf("exit status %d, want 0 and %q in\n%s%s", status, want, &out, &errs)
	}
}

// A file that cannot be read is one line, which names it once.
func TestWrongFiles(t *testing.T) {
	dir := t.TempDir()
	for _, tc := range []struct{ name, content, want string }{
		{"text", "hello, world", "neither pcap nor pcapng"},
		{"half-a-header", "\xd4\xc3\xb2\xa1\x02\x00", "ends within its header (unexpected EOF), so there is no packet in it; give another one\n"},
		{"bad.gz", "\x1f\x8b??????????", "not a capture file that can be read: gzip"},
		{"bad.zst", "\x28\xb5\x2f\xfd????????", "not a capture file that can be read"},
		{"cut.gz", "\x1f\x8b\x08\x00", "ends within its header"},
		{"", "", "is a directory; name the files in it"},
		{"nothing", "", "no such file or directory; correct the path"},
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

// --alert-below holds for the page of a replay as well.
func TestAlertOfAReplay(t *testing.T) {
	r := playing{Options: parse(t, append(slices.Clone(replayFlags), "--alert-below=90,50", "f")...)}
	if got := r.watching(status.Source{}).Alert; got != (status.Alert{Amber: 0.9, Red: 0.5}) {
		t.Errorf("%+v", got)
	}
}
