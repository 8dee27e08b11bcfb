// Package limits compares the budgets of the settings with what the host and the process may
// have, and says what to do if they do not fit.
package limits

import (
	"fmt"
	"log/slog"
	"slices"

	"netmirror/machine"
	"netmirror/settings"
	"netmirror/source"
	"netmirror/status"
	"netmirror/target"
	"netmirror/udp"
)

// Fit compares the budgets with what the process may have. It lowers the target connections to
// what the limit of open files allows, and leaves memory as it is. warn logs what to do if
// they do not fit; call it once the program is known to start.
func Fit(o *settings.Options, memory machine.Limit) (warn func(*slog.Logger)) {
	files, err := machine.RaiseDescriptors()
	asked := *o
	fitConns(o, files)
	return func(log *slog.Logger) {
		if err != nil {
			log.Warn("the limit of open files stays as it is", "err", err,
				"do", "raise it before the start (LimitNOFILE= in the unit, ulimit -n in a shell), or lower --max-conns")
		}
		if conns := o.Budgets.MaxConns; conns < asked.Budgets.MaxConns {
			warnOfConns(&asked, log, conns, files)
		}
		warnOfMemory(o, log, memory)
	}
}

// fitConns lowers --max-conns to what the descriptors allow (0: unknown), so that --http and
// the log keep working when all connections are open.
func fitConns(o *settings.Options, files int) {
	if files > 0 {
		o.Budgets.MaxConns = min(o.Budgets.MaxConns, max(files-reservedFiles(o, files), files/4, 1))
	}
}

// warnOfConns tells that there will be fewer connections than --max-conns.
func warnOfConns(o *settings.Options, log *slog.Logger, conns, files int) {
	asked := o.Budgets.MaxConns
	log.Warn("the limit of open files is too low for --max-conns; there will be fewer connections to the target",
		"max_conns", asked, "connections", conns, "open_files", files,
		"do", fmt.Sprintf("raise the hard limit to %d (LimitNOFILE= in the unit, --ulimit nofile= of a container, ulimit -Hn in a shell), or lower --max-conns",
			asked+reservedFiles(o, asked)))
}

// reservedFiles is how many descriptors to keep free for everything but the connections to the
// target.
func reservedFiles(o *settings.Options, files int) int {
	n := 32 + 8*o.Workers()*max(len(o.Capture.Iface), 1) // the standard streams, the runtime's, the rings and what wakes them
	if o.Capture.Capture == settings.CaptureUDP {
		n += udp.MaxSpread * o.Workers() * len(o.Mirror().UDP())
	}
	if o.Reporting.HTTP != "" {
		n += status.MaxClients
	}
	if slices.ContainsFunc(o.Services, named) {
		n += min(files/8, 256) // a lookup takes two for a moment
	}
	return n
}

// named reports whether the target is to be looked up.
func named(s settings.Service) bool {
	a, err := target.Parse(s.Target)
	return err == nil && a.Named()
}

// leastMiB is what the process takes at the most with the smallest --total-mib.
const leastMiB = 64

// warnOfMemory warns if the budgets exceed the memory.
func warnOfMemory(o *settings.Options, log *slog.Logger, memory machine.Limit) {
	wanted, there := int64(max(o.Budgets.TotalMiB, leastMiB)+o.Capture.RingMiB), memory.Bytes>>20
	if memory.Bytes == 0 || wanted <= there {
		return
	}
	lower := "lower --total-mib and --ring-mib"
	if left := there - int64(o.Capture.RingMiB); left >= leastMiB {
		lower = fmt.Sprintf("lower --total-mib to %d or less", left)
	}
	if memory.Name != "MemTotal" {
		lower += ", or raise the limit (MemoryMax= in the unit, resources.limits.memory, --memory of a container)"
	}
	log.Warn("--total-mib and --ring-mib together exceed the available memory; the kernel may kill netmirror",
		"wanted_mib", wanted, "there_mib", there, "limit", memory.Name, "do", lower)
}

// WarnOfBuffer warns if the kernel granted UDP sockets less memory than --ring-mib asks for: a
// burst may then be lost in part.
func WarnOfBuffer(o *settings.Options, log *slog.Logger, sources []source.Source) {
	granted, needed := 0, 0
	for _, src := range sources {
		r, ok := src.(*udp.Receiver)
		if !ok {
			return
		}
		room, sysctl := r.Buffer()
		granted += room
		needed = max(needed, sysctl)
	}
	if asked := o.Capture.RingMiB << 20; granted < asked/4*3 {
		log.Warn("the kernel grants less memory for waiting packets than --ring-mib asks for; a burst may be lost in part",
			"asked_kib", asked>>10, "granted_kib", granted>>10,
			"do", fmt.Sprintf("sudo sysctl -w net.core.rmem_max=%d, on the host of a container, and start again; or lower --ring-mib", needed))
	}
}
