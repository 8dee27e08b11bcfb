// Package machine knows what the host and its limits allow the process: file descriptors,
// memory, and its share of the processors. It also gives back memory that the process does
// not need.
package machine

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// RaiseDescriptors raises the process's limit of open files to the hard limit and
// returns it.
func RaiseDescriptors() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("machine: limit of open files: %w", err)
	}
	if limit.Cur < limit.Max {
		soft := limit.Cur
		limit.Cur = limit.Max
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			limit.Cur = soft
			return int(min(limit.Cur, 1<<30)), fmt.Errorf("machine: raising the limit of open files from %d to %d: %w", soft, limit.Max, err)
		}
	}
	return int(min(limit.Cur, 1<<30)), nil // RLIM_INFINITY is more than an int
}
