package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// process is a running netmirror and what it logged.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and all its output is read
	term sync.Once     // SIGTERM is sent once: the second would cut it short

	mu      sync.Mutex // guards the fields below
	lines   []string
	changed chan struct{} // closed, and replaced, with each line
}

// environment is the test's without what netmirror reads.
func environment(extra ...string) []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "MAX_PENDING_PACKETS", "MAX_RETRIES", "NUM_THREADS", "RUST_LOG":
			continue
		}
		if !strings.HasPrefix(name, "NETMIRROR_") {
			env = append(env, kv)
		}
	}
	return append(env, extra...)
}

// start runs a netmirror inside the namespace until the test ends.
func start(t testing.TB, n *lab.Namespace, path string, args ...string) *process {
	t.Helper()
	return startCommand(t, n, exec.Command(path, args...))
}

func startCommand(t testing.TB, n *lab.Namespace, cmd *exec.Cmd) *process {
	t.Helper()
	if cmd.Env == nil {
		cmd.Env = environment()
	}
	stderr, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = w
	err = n.Start(cmd)
	w.Close()
	if err != nil {
		stderr.Close()
		t.Fatal(err)
	}
	p := &process{t: t, cmd: cmd, done: make(chan struct{}), changed: make(chan struct{})}
	go p.follow(stderr)
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("%s logged:\n%s", filepath.Base(cmd.Path), p.tail(30))
		}
	})
	return p
}

func (p *process) follow(stderr io.ReadCloser) {
	defer close(p.done)
	defer stderr.Close()
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, lines.Text())
		close(p.changed)
		p.changed = make(chan struct{})
		p.mu.Unlock()
	}
	p.cmd.Wait()
}

func (p *process) logged() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lines[:len(p.lines):len(p.lines)]
}

func (p *process) tail(n int) string {
	lines := p.logged()
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// await returns the first line, from the given index on, that has the text, and
// the index behind it.
func (p *process) await(ctx context.Context, from int, text string) (line string, next int, err error) {
	for {
		p.mu.Lock()
		lines, changed := p.lines, p.changed
		p.mu.Unlock()
		for ; from < len(lines); from++ {
			if strings.Contains(lines[from], text) {
				return lines[from], from + 1, nil
			}
		}
		select {
		case <-changed:
		case <-p.done:
			return "", from, fmt.Errorf("netmirror ended, %v, without logging %q", p.cmd.ProcessState, text)
		case <-ctx.Done():
			return "", from, fmt.Errorf("netmirror did not log %q: %w", text, ctx.Err())
		}
	}
}

// capturing returns when netmirror says that it captures.
func (p *process) capturing(ctx context.Context) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, _, err := p.await(ctx, 0, "msg=capturing"); err != nil {
		p.t.Fatal(err)
	}
}

// terminate sends SIGTERM, if it was not sent already.
func (p *process) terminate(t testing.TB) {
	t.Helper()
	p.term.Do(func() {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
	})
}

// stop asks netmirror to end, which must have exit status 0.
func (p *process) stop(t testing.TB) {
	t.Helper()
	p.terminate(t)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		t.Fatal("netmirror did not end within 20 s of SIGTERM")
	}
	if status := p.cmd.ProcessState; status.ExitCode() != 0 {
		t.Errorf("netmirror: %v, want exit status 0", status)
	}
}

// stat is a value of the newest stats line.
func (p *process) stat(t testing.TB, key string) int64 {
	t.Helper()
	lines := p.logged()
	for i := len(lines) - 1; i >= 0; i-- {
		if v, ok := stat(lines[i], key); ok {
			return v
		}
	}
	t.Fatalf("no stats line has %s", key)
	return 0
}

// awaitStat returns when a stats line logged from now on satisfies ok.
func (p *process) awaitStat(ctx context.Context, key string, ok func(int64) bool) error {
	last := int64(-1)
	from := len(p.logged())
	for {
		line, next, err := p.await(ctx, from, "msg=stats")
		if err != nil {
			return fmt.Errorf("%s is %d: %w", key, last, err)
		}
		from = next
		if v, found := stat(line, key); found {
			if last = v; ok(v) {
				return nil
			}
		}
	}
}

func stat(line, key string) (int64, bool) {
	if !strings.Contains(line, "msg=stats") {
		return 0, false
	}
	for _, field := range strings.Fields(line) {
		if value, ok := strings.CutPrefix(field, key+"="); ok {
			n, err := strconv.ParseInt(value, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// descriptors is the number of files that netmirror has open.
func (p *process) descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// memory is netmirror's resident set in bytes.
func (p *process) memory(t testing.TB) int64 { return p.status(t, "VmRSS") }

// peakMemory is the largest resident set in bytes that it ever had.
func (p *process) peakMemory(t testing.TB) int64 { return p.status(t, "VmHWM") }

// status is one of the sizes in proc_pid_status(5), in bytes.
func (p *process) status(t testing.TB, key string) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), key+":")
	kb, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.ParseInt(kb, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return n << 10
}
