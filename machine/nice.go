package machine

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// tasks has a directory for each thread of the process (proc_pid_task(5)).
const tasks = "/proc/self/task"

// Nice sets the nice value of all threads (setpriority(2)). Linux has one for each thread,
// and a new thread has that of the one that made it. So this is for the start of the program.
func Nice(value int) error {
	done := make(map[string]bool)
	for before := -1; before < len(done); { // until no thread is new
		before = len(done)
		threads, err := os.ReadDir(tasks)
		if err != nil {
			return fmt.Errorf("machine: threads: %w", err)
		}
		for _, thread := range threads {
			if err := niceThread(thread.Name(), value); err != nil {
				return err
			}
			done[thread.Name()] = true
		}
	}
	return nil
}

// niceThread sets the nice value of a thread, which may have ended.
func niceThread(name string, value int) error {
	id, err := strconv.Atoi(name)
	if err != nil {
		return fmt.Errorf("machine: threads: %w", err)
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, id, value); err != nil && err != unix.ESRCH {
		return fmt.Errorf("nice value %d: %w: it needs CAP_SYS_NICE, or a limit (ulimit -e) of %d; under systemd, set Nice= in the unit instead", value, err, 20-value)
	}
	return nil
}
