package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"netmirror/link"
	"netmirror/status"
)

// watched is the snapshot with what the interfaces have dropped from now on.
func (o *options) watched(snapshot func() status.Snapshot) func() status.Snapshot {
	names := o.Capture.Iface
	if o.anyInterface() {
		names = nil
	}
	before, err := link.Drops(names...)
	return func() status.Snapshot {
		s := snapshot()
		if err != nil {
			return s // it does without
		}
		if now, err := link.Drops(names...); err == nil {
			s.InterfaceDrops = now - min(before, now)
		}
		return s
	}
}

// captured is what the status page says of the capture.
func (o *options) captured() status.Capture {
	host, _ := os.Hostname() // without a name, the page shows none
	return status.Capture{
		Host: host, Interface: cmp.Or(strings.Join(o.Capture.Iface, ","), anyInterface),
		VNI: fmt.Sprint(o.capturedVNIs()), Port: fmt.Sprint(o.capturedPorts()),
	}
}
