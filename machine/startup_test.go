package machine

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

// What proc_pid_smaps(5) shows of a program with a page that a debugger has changed, and one
// that is swapped out.
const smaps = `00400000-00a2f000 r-xp 00000000 fe:00 101      /bin/netmirror
Rss:                5628 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me
00a2f000-01183000 r--p 0062f000 fe:00 101      /bin/netmirror
Anonymous:             4 kB
Swap:                  0 kB
01183000-011ec000 rw-p 00d83000 fe:00 101      /bin/netmirror
Anonymous:             0 kB
Swap:                  0 kB
011ec000-03346000 rw-p 00000000 00:00 0
Anonymous:             0 kB
Swap:                  0 kB
04000000-04001000 r--p 00000000 fe:00 102      /bin/netmirror.so
Anonymous:             0 kB
Swap:                  0 kB
05000000-05002000 r--p 00000000 fe:00 101      /bin/netmirror
Anonymous:             0 kB
Swap:                  0 kB
06000000-06002000 r--p 00000000 fe:00 101      /bin/netmirror
Anonymous:             0 kB
Swap:                  4 kB
`

func TestOnlyUnchangedPagesOfTheProgramAreReleased(t *testing.T) {
	got := fileMappings(smaps, "/bin/netmirror")
	want := []mapping{{0x400000, 0xa2f000}, {0x5000000, 0x5002000}}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("mappings %x, want %x", got, want)
	}
}

func TestReleaseProgram(t *testing.T) {
	before := residentFile(t)
	if err := ReleaseProgram(); err != nil {
		t.Fatal(err)
	}
	if after := residentFile(t); after >= before {
		t.Errorf("%d KiB of files are resident, %d before", after, before)
	}
}

// residentFile is RssFile of proc_pid_status(5).
func residentFile(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("no RssFile in %s", status)
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
