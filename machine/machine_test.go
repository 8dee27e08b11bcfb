package machine

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"
)

func TestMemory(t *testing.T) {
	const meminfo = "MemTotal:       16384256 kB\nMemFree:        1000 kB\n"
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  Limit
	}{
		{"a host without limits", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n"}, Limit{16384256 << 10, "MemTotal"}},
		{"a unit with MemoryMax=1G", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/system.slice/netmirror.service\n",
			"sys/fs/cgroup/system.slice/netmirror.service/memory.max": "1073741824\n", "sys/fs/cgroup/system.slice/memory.max": "max\n"}, Limit{1 << 30, "memory.max"}},
		{"a slice with less than its unit", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a.slice/b.service\n",
			"sys/fs/cgroup/a.slice/b.service/memory.max": "1073741824\n", "sys/fs/cgroup/a.slice/memory.max": "536870912\n"}, Limit{512 << 20, "memory.max"}},
		{"a container with a namespace of its own", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "268435456\n"}, Limit{256 << 20, "memory.max"}},
		{"a container that sees its group's path outside", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/docker/0123\n",
			"sys/fs/cgroup/memory.max": "268435456\n"}, Limit{256 << 20, "memory.max"}},
		{"version 1", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "11:cpu,cpuacct:/x\n4:hugetlb,memory:/docker/0123\n0::/unrelated\n",
			"sys/fs/cgroup/memory/docker/0123/memory.limit_in_bytes": "134217728\n"}, Limit{128 << 20, "memory.limit_in_bytes"}},
		{"version 1 without a limit", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, Limit{16384256 << 10, "MemTotal"}},
		{"a limit above the host's memory", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n",
			"sys/fs/cgroup/memory.max": "68719476736\n"}, Limit{16384256 << 10, "MemTotal"}},
		{"garbage", map[string]string{"proc/meminfo": "MemTotal:\n", "proc/self/cgroup": "x\n0:/\n0::../..//\n",
			"sys/fs/cgroup/memory.max": "-1"}, Limit{0, "MemTotal"}},
		{"nothing to read", nil, Limit{0, "MemTotal"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, text := range tc.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := memory(root); got != tc.want {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}

// TestRaiseDescriptors runs itself below a shell that has set both limits.
func TestRaiseDescriptors(t *testing.T) {
	if os.Getenv("NETMIRROR_TEST_LIMITS") != "" {
		n, err := RaiseDescriptors()
		if n != 77 || err != nil {
			t.Errorf("%d, %v, want the hard limit of 77", n, err)
		}
		return
	}
	cmd := exec.Command("sh", "-c", `ulimit -Sn 50 && ulimit -Hn 77 && exec "$0" -test.run TestRaiseDescriptors`, os.Args[0])
	cmd.Env = append(os.Environ(), "NETMIRROR_TEST_LIMITS=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}
