package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/e2e/lab"
)

// On a terminal a line of rates stays below the log, and goes at the end.
func TestLiveLineOnATerminal(t *testing.T) {
	master, slave, err := pty()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	cmd := exec.CommandContext(deadline(t), netmirrorPath, "--iface", "lo", "--vni", "1", "--port", "80", "--to", "127.0.0.1:9")
	cmd.Env, cmd.Stderr = append(environment(), "TERM=xterm"), slave
	err = cmd.Start()
	slave.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var screen strings.Builder
	shown := make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		b := make([]byte, 4096)
		for told := false; ; {
			n, err := master.Read(b)
			if err != nil { // EIO: the terminal's last process has ended
				return
			}
			screen.Write(b[:n])
			if !told && strings.Contains(screen.String(), "packets/s") {
				told = true
				close(shown)
			}
		}
	}()
	select {
	case <-shown:
	case <-time.After(20 * time.Second):
		t.Fatalf("no live line within 20 s: %q", screen.String())
	}
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	<-over
	text := screen.String()
	if !strings.Contains(text, "flows 0  to target 0") {
		t.Errorf("%q", text)
	}
	// What is left on the screen is what stands behind each line's last clearing.
	for line := range strings.Lines(text) {
		if i := strings.LastIndex(line, "\x1b[K"); i >= 0 && strings.Contains(line[i:], "packets/s") {
			t.Errorf("a line stays: %q", line)
		}
	}
}

// A terminal that is held (Ctrl-S) holds neither the capture nor the end.
func TestHeldTerminalHoldsNothing(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "http.sock")
	master, slave, err := pty()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	ctx := deadline(t)
	cmd := exec.CommandContext(ctx, netmirrorPath, "--iface", "lo", "--vni", "1", "--port", "80", "--to", "127.0.0.1:9",
		"--http", socket, "--stats-interval", "100ms", "--shutdown-timeout", "1s")
	cmd.Env, cmd.Stderr = append(environment(), "TERM=xterm"), slave
	if err := unix.IoctlSetInt(int(slave.Fd()), unix.TCXONC, unix.TCOOFF); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer cmd.Process.Kill()
	page := newStatusPage(t, ctx, socket)
	page.awaitSocket()
	// What is done once a second goes on.
	for samples := 0; samples < 3; {
		_, body := page.get("/history.json")
		samples = strings.Count(body, `"t":`)
	}
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(15 * time.Second):
		t.Fatal("it does not end")
	}
}

// Whoever reads the log may go without taking netmirror along.
func TestLogReaderThatGoes(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "http.sock")
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	cmd := exec.CommandContext(deadline(t), netmirrorPath, "--iface", "lo", "--vni", "1", "--port", "80", "--to", "127.0.0.1:9",
		"--http", socket, "--stats-interval", "100ms")
	cmd.Env, cmd.Stderr = environment(), writer
	err = cmd.Start()
	writer.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	for lines := bufio.NewScanner(reader); !strings.Contains(lines.Text(), "msg=stats"); {
		if !lines.Scan() {
			t.Fatal("no figures were logged")
		}
	}
	reader.Close()
	page := newStatusPage(t, deadline(t), socket)
	for samples := 0; samples < 2; { // 2 s, in which some lines are logged
		_, body := page.get("/history.json")
		samples = strings.Count(body, `"t":`)
	}
	if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// pty makes a terminal of 200 columns (pts(4)).
func pty() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 200})
	}
	if err == nil {
		slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		master.Close()
		return nil, nil, err
	}
	return master, slave, nil
}

// JSON lines are what a log collector reads.
func TestLogAsJSON(t *testing.T) {
	s := setServices(t, lab.Options{}, nil)
	s.startNetmirror(t, "--log-format", "json")
	if _, _, err := s.netmirror.await(s.ctx, 0, `"msg":"capturing"`); err != nil {
		t.Fatal(err)
	}
	s.netmirror.stop(t)
	for _, line := range s.netmirror.logged() {
		var got struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &got); err != nil || got.Msg == "" || got.Level == "" || got.Time == "" {
			t.Errorf("%v: %s", err, line)
		}
	}
	line, _, err := s.netmirror.await(s.ctx, 0, `"msg":"settings"`)
	if err != nil || !strings.Contains(line, `"gap_timeout":"1s"`) || !strings.Contains(line, `"vni":"42"`) {
		t.Errorf("the settings in force: %v %s", err, line)
	}
}
