package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"netmirror/machine"
	"netmirror/status"
)

// fit holds the budgets against what the process may have. Target connections are
// lowered to what the limit of open files allows; memory is left as it was asked
// for. warn says what to do where they do not fit: when it is known that the
// program starts.
func (o *options) fit(memory machine.Limit) (warn func(*slog.Logger)) {
	files, err := machine.RaiseDescriptors()
	asked := *o
	o.fitConns(files)
	return func(log *slog.Logger) {
		if err != nil {
			log.Warn("the limit of open files stays as it is", "err", err)
		}
		if conns := o.Budgets.MaxConns; conns < asked.Budgets.MaxConns {
			asked.warnOfConns(log, conns, files)
		}
		o.warnOfMemory(log, memory)
	}
}

// fitConns lowers --max-conns to what is left of the descriptors, 0 for unknown,
// so that --http and the log go on when all of them are taken.
func (o *options) fitConns(files int) {
	if files > 0 {
		o.Budgets.MaxConns = min(o.Budgets.MaxConns, max(files-o.reservedFiles(files), files/4, 1))
	}
}

// warnOfConns tells that there will be fewer connections than --max-conns.
func (o *options) warnOfConns(log *slog.Logger, conns, files int) {
	asked := o.Budgets.MaxConns
	log.Warn("the limit of open files is too low for --max-conns; there will be fewer connections to the target",
		"max_conns", asked, "connections", conns, "open_files", files,
		"do", fmt.Sprintf("raise the hard limit to %d (LimitNOFILE= in the unit, --ulimit nofile= of a container, ulimit -Hn in a shell), or lower --max-conns",
			asked+o.reservedFiles(asked)))
}

// reservedFiles are the descriptors of files that are kept for all but the target's
// connections.
func (o *options) reservedFiles(files int) int {
	n := 32 + 8*o.workers() // the standard streams, the runtime's, the rings and what wakes them
	if o.Reporting.HTTP != "" {
		n += status.MaxClients
	}
	if host, _, err := net.SplitHostPort(o.Target.To); err == nil {
		if _, err := netip.ParseAddr(host); err != nil {
			n += min(files/8, 256) // a lookup takes two for a moment
		}
	}
	return n
}

// warnOfMemory warns where the budgets are more than there is.
func (o *options) warnOfMemory(log *slog.Logger, memory machine.Limit) {
	wanted, there := int64(o.Budgets.TotalMiB+o.Capture.RingMiB), memory.Bytes>>20
	if memory.Bytes == 0 || wanted <= there {
		return
	}
	lower := "lower --total-mib and --ring-mib"
	if left := there - int64(o.Capture.RingMiB); left >= 64 {
		lower = fmt.Sprintf("lower --total-mib to %d or less", left)
	}
	if memory.Name != "MemTotal" {
		lower += ", or raise the limit (MemoryMax= in the unit, resources.limits.memory, --memory of a container)"
	}
	log.Warn("--total-mib and --ring-mib together are more than the memory that there is; the kernel may kill netmirror",
		"wanted_mib", wanted, "there_mib", there, "limit", memory.Name, "do", lower)
}
