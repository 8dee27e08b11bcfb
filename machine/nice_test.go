package machine

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Threads that there were before and those that come after all have the nice value.
func TestNice(t *testing.T) {
	const child = "NETMIRROR_TEST_NICE"
	if os.Getenv(child) == "" { // a process without a privilege could not go back
		cmd := exec.Command(os.Args[0], "-test.run=^TestNice$")
		cmd.Env = append(os.Environ(), child+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	end := make(chan struct{})
	defer close(end)
	thread := func() {
		runs := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(runs)
			<-end
		}()
		<-runs
	}
	for range 3 {
		thread()
	}
	if err := Nice(13); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		thread()
	}
	stats, err := filepath.Glob(tasks + "/*/stat")
	if err != nil || len(stats) < 7 {
		t.Fatalf("%d threads, %v", len(stats), err)
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// The name, in parentheses, is field 2 and the nice value 19 (proc_pid_stat(5)).
		_, rest, _ := strings.Cut(string(stat), ") ")
		if got := strings.Fields(rest)[19-3]; got != "13" {
			t.Errorf("%s: nice value %s, want 13", path, got)
		}
	}
}
