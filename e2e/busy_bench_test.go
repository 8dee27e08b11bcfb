package e2e

import (
	"os/exec"
	"testing"
)

// BenchmarkBusy is one run of 2000 new connections a second on a machine that has
// five other things to do all the time.
func BenchmarkBusy(b *testing.B) {
	for range b.N {
		measureVisits(b, newVisits(2000, 10_000, 400), netmirrorWith("netmirror", oneWorker...), func() { keepBusy(b, 5) })
	}
}

// keepBusy runs so many busy loops until the benchmark ends.
func keepBusy(b *testing.B, loops int) {
	b.Helper()
	for range loops {
		// A loop ends with this process, whatever becomes of that.
		cmd := exec.Command("sh", "-c", "while kill -0 $PPID; do :; done")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
}
