package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"netmirror/link"
	"netmirror/settings"
	"netmirror/status"
)

// watched is the snapshot with what the interfaces have dropped from now on.
func watched(o *settings.Options, snapshot func() status.Snapshot) func() status.Snapshot {
	names := o.Capture.Iface
	if o.OnAnyInterface() {
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

// alert is when the headline is amber and red.
func alert(o *settings.Options) (a status.Alert) {
	a.Amber, a.Red = o.Reporting.AlertBelow.Shares()
	return a
}

// captured is what the status page says of the capture.
func captured(o *settings.Options) status.Capture {
	host, _ := os.Hostname() // without a name, the page shows none
	return status.Capture{
		Host: host, Interface: cmp.Or(strings.Join(o.Capture.Iface, ","), settings.AnyInterface),
		VNI: fmt.Sprint(o.Captured().VNIs), Port: fmt.Sprint(o.Captured().Ports),
	}
}
