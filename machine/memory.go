package machine

import (
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// Limit is an amount of memory that the process cannot exceed.
type Limit struct {
	Bytes int64  // 0: unknown
	Name  string // MemTotal, or the file of a control group, memory.max or memory.limit_in_bytes
}

// Memory returns the lowest limit on this process's memory: the host's memory, or
// that of one of its control groups, of either version.
func Memory() Limit { return memory(os.DirFS("/")) }

// memory is Memory on a host whose files are below root. What cannot be read
// limits nothing.
func memory(root fs.FS) Limit {
	least := Limit{meminfo(root), "MemTotal"}
	groups, _ := fs.ReadFile(root, "proc/self/cgroup")
	for line := range strings.Lines(string(groups)) {
		// hierarchy:controllers:path (cgroups(7)); version 2 has no controllers.
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(fields) != 3:
		case fields[1] == "":
			least.lower(root, "sys/fs/cgroup", fields[2], "memory.max")
		case strings.Contains(","+fields[1]+",", ",memory,"):
			least.lower(root, "sys/fs/cgroup/memory", fields[2], "memory.limit_in_bytes")
		}
	}
	return least
}

// meminfo is the host's memory in bytes, 0 where that cannot be read.
func meminfo(root fs.FS) int64 {
	text, _ := fs.ReadFile(root, "proc/meminfo")
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "MemTotal:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// lower takes in the limits of a control group and of all groups above it, which hold for
// those below. In a container, the group's path may differ from the one that the kernel tells;
// then the root of the mount is the container's own group.
func (l *Limit) lower(root fs.FS, mount, group, file string) {
	for dir := path.Clean("/" + group); ; dir = path.Dir(dir) {
		text, _ := fs.ReadFile(root, path.Join(mount, dir, file))
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is none
		if err == nil && n > 0 && (l.Bytes == 0 || n < l.Bytes) {
			*l = Limit{n, file}
		}
		if dir == "/" {
			return
		}
	}
}
