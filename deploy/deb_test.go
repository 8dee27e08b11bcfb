package deploy_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

const conf = "/etc/netmirror/netmirror.conf"

// TestDebian takes the deb through its life on a machine with systemd: it is
// installed, filled in, started, asked, upgraded while it runs, and purged.
func TestDebian(t *testing.T) {
	t.Parallel()
	m := startMachine(t)
	deb := m.copyIn(t, build(t).one(t, "_"+runtime.GOARCH+".deb"))
	later := m.copyIn(t, buildAs(t, build(t).version+".1", "deb").one(t, ".deb"))
	before := m.traces(t)

	out := m.run(t, "dpkg", "--install", deb)
	if !strings.Contains(out, conf) || !strings.Contains(out, "systemctl enable --now netmirror") {
		t.Errorf("dpkg does not say what to do next:\n%s", out)
	}
	files := strings.Fields(m.run(t, "dpkg", "--listfiles", "netmirror"))
	for name, want := range map[string]string{"ActiveState": "inactive", "UnitFileState": "disabled", "NRestarts": "0"} {
		if got := m.property(t, name); got != want {
			t.Errorf("installed and not filled in, %s=%s, want %s", name, got, want)
		}
	}
	if out := m.run(t, "systemd-analyze", "verify", "/usr/lib/systemd/system/netmirror.service"); strings.Contains(out, "netmirror") {
		t.Errorf("systemd on the unit: %s", out)
	}
	m.checkCompletion(t)

	target := m.listen(t)
	m.fillIn(t, map[string]string{
		"iface": "lo", "vni": "42", "port": "8080", "http": "/run/netmirror/http.sock",
		"to": fmt.Sprintf("localhost:%d", target.Addr().(*net.TCPAddr).Port),
	})
	m.run(t, "systemctl", "enable", "--now", "netmirror")
	m.waitCapturing(t)
	pid := m.property(t, "MainPID")
	m.checkConfined(t, pid)
	m.checkForwards(t, target)

	m.run(t, "dpkg", "--install", later)
	if again := m.property(t, "MainPID"); again == pid || again == "0" {
		t.Errorf("the process was %s before the upgrade and is %s after it", pid, again)
	}
	m.waitCapturing(t)
	if out := m.run(t, "netmirror", "--version"); !strings.Contains(out, build(t).version+".1 ") {
		t.Errorf("after the upgrade: %s", out)
	}
	m.checkForwards(t, target)

	m.run(t, "dpkg", "--purge", "netmirror")
	if left := slices.DeleteFunc(m.traces(t), func(path string) bool { return slices.Contains(before, path) }); len(left) > 0 {
		t.Errorf("purged, and still there: %q", left)
	}
	for _, file := range files {
		if info, err := os.Lstat(m.path(file)); err == nil && !info.IsDir() {
			t.Errorf("purged, and still there: %s", file)
		}
	}
	for _, database := range []string{"passwd", "group"} {
		if out, err := m.try("getent", database, "netmirror"); err == nil {
			t.Errorf("purged, and still in %s: %s", database, out)
		}
	}
	if out, err := m.try("pgrep", "-x", "netmirror"); err == nil {
		t.Errorf("purged, and still running: %s", out)
	}
	if got := m.property(t, "LoadState"); got != "not-found" {
		t.Errorf("purged, and systemd has the unit as %s", got)
	}
	// It went as it should: the signal was heeded and the totals were logged.
	log := m.log(t)
	if n := strings.Count(log, "msg=stats"); n < 2 || strings.Contains(log, "level=ERROR") || strings.Contains(log, "Failed") {
		t.Errorf("ended twice, and the log is:\n%s", log)
	}
}

// TestUnconfigured: a service that is started though nothing was filled in
// says so, and gives up.
func TestUnconfigured(t *testing.T) {
	t.Parallel()
	m := startMachine(t)
	m.run(t, "dpkg", "--install", m.copyIn(t, build(t).one(t, "_"+runtime.GOARCH+".deb")))
	// As the unit has it, but for the time between two attempts.
	m.run(t, "mkdir", "-p", "/etc/systemd/system/netmirror.service.d")
	if err := os.WriteFile(m.path("/etc/systemd/system/netmirror.service.d/soon.conf"), []byte("[Service]\nRestartSec=100ms\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.run(t, "systemctl", "daemon-reload")
	m.run(t, "systemctl", "start", "netmirror")
	wait(t, 30*time.Second, "the service to give up", func() error {
		if m.property(t, "ActiveState") != "failed" {
			return errNotYet
		}
		return nil
	})
	if n := strings.Count(m.log(t), "give the one that the mirror packets arrive on with --iface"); n != 5 {
		t.Errorf("it said %d times what is missing, want 5:\n%s", n, m.log(t))
	}
	// What was never right can be removed all the same.
	m.run(t, "dpkg", "--remove", "netmirror")
	if _, err := os.Stat(m.path(conf)); err != nil {
		t.Errorf("removed, not purged, and the settings are gone: %v", err)
	}
	m.run(t, "dpkg", "--purge", "netmirror")
	if _, err := os.Stat(m.path("/etc/netmirror")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("purged, and the settings: %v", err)
	}
}

// traces are the files of the machine that are named after netmirror.
func (m *machine) traces(t *testing.T) []string {
	t.Helper()
	return strings.Fields(m.run(t, "find", "/etc", "/usr", "/run", "/var", "-xdev",
		"-path", "/var/cache/man", "-prune", "-o", "-name", "*netmirror*", "-print"))
}

func (m *machine) log(t *testing.T) string {
	t.Helper()
	return m.run(t, "journalctl", "--unit", "netmirror", "--output", "cat")
}

// fillIn does what an editor would: it takes the # away from lines of the
// settings and gives them a value.
func (m *machine) fillIn(t *testing.T, values map[string]string) {
	t.Helper()
	text, err := os.ReadFile(m.path(conf))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range values {
		line := regexp.MustCompile(`(?m)^#` + name + ` =.*$`)
		if !line.Match(text) {
			t.Fatalf("no line for %s in %s", name, conf)
		}
		text = line.ReplaceAll(text, []byte(name+" = "+value))
	}
	if err := os.WriteFile(m.path(conf), text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// waitCapturing waits until the service says that it captures, in its log and
// at /readyz.
func (m *machine) waitCapturing(t *testing.T) {
	t.Helper()
	invocation := m.property(t, "InvocationID")
	wait(t, 20*time.Second, "the service to capture", func() error {
		out := m.run(t, "journalctl", "--output", "cat", "_SYSTEMD_INVOCATION_ID="+invocation)
		if !strings.Contains(out, "msg=capturing") {
			return errors.New(out)
		}
		return nil
	})
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", m.path("/run/netmirror/http.sock"))
		},
	}}
	wait(t, 10*time.Second, "/readyz to answer 200", func() error {
		resp, err := client.Get("http://localhost/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s, %w", resp.Status, body, err)
		}
		return nil
	})
}

// checkConfined: the service's process is an ordinary user's, with the one
// capability that it needs and no way to another, and its calls are filtered.
func (m *machine) checkConfined(t *testing.T, pid string) {
	t.Helper()
	status, err := os.ReadFile(m.path(filepath.Join("/proc", pid, "status")))
	if err != nil {
		t.Fatal(err)
	}
	fields := make(map[string]string)
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name], _, _ = strings.Cut(strings.TrimSpace(value), "\t")
	}
	const netRaw = "0000000000002000"
	for name, want := range map[string]string{
		"Uid": strings.TrimSpace(m.run(t, "id", "-u", "netmirror")), "Gid": strings.TrimSpace(m.run(t, "id", "-g", "netmirror")),
		"CapEff": netRaw, "CapPrm": netRaw, "CapAmb": netRaw, "CapBnd": netRaw, "NoNewPrivs": "1", "Seccomp": "2",
	} {
		if fields[name] != want {
			t.Errorf("the process has %s %s, want %s", name, fields[name], want)
		}
	}
	info, err := os.Stat(m.path("/run/netmirror"))
	if err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("/run/netmirror: %v, %v", info, err)
	}
	if info, err = os.Stat(m.path("/run/netmirror/http.sock")); err != nil || info.Mode().Perm() != 0o770 {
		t.Errorf("the socket is not the group's too: %v, %v", info, err)
	}
}

const request = "GET /mirrored HTTP/1.1\r\nHost: service.example\r\n\r\n"

// packets are those of a connection's client, from SYN to FIN.
func packets(t *testing.T, clientPort uint16) [][]byte {
	return [][]byte{
		mirrored(t, clientPort, layers.TCP{Seq: 1000, SYN: true}, ""),
		mirrored(t, clientPort, layers.TCP{Seq: 1001, Ack: 5001, ACK: true}, ""),
		mirrored(t, clientPort, layers.TCP{Seq: 1001, Ack: 5001, ACK: true, PSH: true}, request),
		mirrored(t, clientPort, layers.TCP{Seq: 1001 + uint32(len(request)), Ack: 5001, ACK: true, FIN: true}, ""),
	}
}

// checkForwards: what the mirror brings of a connection arrives at the target,
// whose name was looked up.
func (m *machine) checkForwards(t *testing.T, target net.Listener) {
	t.Helper()
	var mirror net.Conn
	m.inNetwork(t, func() (err error) {
		mirror, err = net.Dial("udp", "127.0.0.1:4789")
		return err
	})
	defer mirror.Close()
	m.ports++
	for _, packet := range packets(t, m.ports) {
		if _, err := mirror.Write(packet); err != nil {
			t.Fatal(err)
		}
	}
	if err := target.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for {
		conn, err := target.Accept()
		if err != nil {
			t.Fatalf("nothing arrived at the target: %v\n%s", err, m.log(t))
		}
		got, err := readAll(conn)
		if err == nil && len(got) == 0 {
			continue // netmirror tries the target when it starts
		}
		if err != nil || string(got) != request {
			t.Errorf("at the target arrived %q, %v", got, err)
		}
		return
	}
}

func readAll(conn net.Conn) ([]byte, error) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	return io.ReadAll(conn)
}

// mirrored is a client's packet as a mirror sends it in VXLAN with VNI 42: a
// VXLAN header and a frame.
func mirrored(t *testing.T, clientPort uint16, tcp layers.TCP, payload string) []byte {
	t.Helper()
	ip := layers.IPv4{Version: 4, TTL: 60, Protocol: layers.IPProtocolTCP, SrcIP: net.IP{192, 0, 2, 1}, DstIP: net.IP{192, 0, 2, 2}}
	tcp.SrcPort, tcp.DstPort, tcp.Window = layers.TCPPort(clientPort), 8080, 65535
	if err := tcp.SetNetworkLayerForChecksum(&ip); err != nil {
		t.Fatal(err)
	}
	frame := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(frame, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4},
		&ip, &tcp, gopacket.Payload(payload)); err != nil {
		t.Fatal(err)
	}
	var packet bytes.Buffer
	packet.Write([]byte{8, 0, 0, 0})
	packet.Write(binary.BigEndian.AppendUint32(nil, 42<<8))
	packet.Write(frame.Bytes())
	return packet.Bytes()
}

// checkCompletion: bash completes names of flags, and values of those that
// have a choice.
func (m *machine) checkCompletion(t *testing.T) {
	t.Helper()
	for words, want := range map[string]string{
		"netmirror --on-g":              "--on-gap",
		"netmirror --on-gap r":          "reset",
		"netmirror --midstream = ":      "http any off",
		"netmirror --vni 42 --iface l":  "lo",
		"netmirror c":                   "check",
		"netmirror check --iface x --t": "--threads --time --tls-ca --tls-cert --tls-insecure --tls-key --tls-name --to --total-mib",
	} {
		got := m.run(t, "bash", "-c", `. /usr/share/bash-completion/completions/netmirror
			IFS=" "; COMP_WORDS=($1); [ "${1% }" = "$1" ] || COMP_WORDS+=(""); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
			_netmirror && echo "${COMPREPLY[*]}"`, "bash", words)
		if strings.TrimSpace(got) != want {
			t.Errorf("%q is completed by %q, want %q", words, got, want)
		}
	}
}
