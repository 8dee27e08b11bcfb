package machine

import (
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ReleaseProgram removes the program's file from the process's memory: its instructions and
// constants, most of which only the start needs. The kernel maps the pages that are used
// again, from the page cache, which keeps the file (MADV_DONTNEED, madvise(2)). A mapping
// stays if one of its pages was changed, as by a debugger or a dynamic linker, or may have
// been, because it is swapped out.
func ReleaseProgram() error {
	own, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return err
	}
	for _, m := range fileMappings(string(maps), own) {
		// The address is no Go memory.
		mem := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(nil), m.from)), m.to-m.from)
		if err := unix.Madvise(mem, unix.MADV_DONTNEED); err != nil {
			return os.NewSyscallError("madvise", err)
		}
	}
	return nil
}

// mapping is a part of the address space.
type mapping struct{ from, to uintptr }

// fileMappings finds the mappings of a file in smaps (proc_pid_smaps(5)) that are not
// writable and have no changed page.
func fileMappings(smaps, file string) (found []mapping) {
	var m mapping
	ours, changed := false, false
	for line := range strings.Lines(smaps) {
		f := strings.Fields(line)
		switch {
		case len(f) >= 5 && !strings.HasSuffix(f[0], ":"): // a mapping; the file is behind the inode
			n, _ := fmt.Sscanf(f[0], "%x-%x", &m.from, &m.to)
			ours = n == 2 && len(f) == 6 && f[5] == file && f[1][1] == '-'
		case len(f) == 3 && f[0] == "Anonymous:":
			changed = f[1] != "0"
		case len(f) == 3 && f[0] == "Swap:" && f[1] == "0" && ours && !changed: // behind Anonymous
			found = append(found, m)
		}
	}
	return found
}
