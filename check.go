package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"netmirror/check"
	"netmirror/replay"
	"netmirror/settings"
)

func checkConfig(o *settings.Options, program string) check.Config {
	return check.Config{
		Interface: strings.Join(o.Capture.Iface, ","), Mirror: o.Mirror(), VNIs: o.VNIs(), Port: onePort(o),
		Target: strings.Join(o.Target.To, ""), DialTimeout: o.Target.DialTimeout, Midstream: o.Fidelity.Midstream, Time: o.Check.Time, Program: program,
	}
}

// runCheck looks at an interface or, with --read, at capture files.
func runCheck(ctx context.Context, o *settings.Options, program string, stdout, stderr io.Writer) (ok bool, err error) {
	warnOfVariables(o, newLogger(o, stderr))
	c := checkConfig(o, program)
	if len(o.Check.Read) == 0 {
		return check.Run(ctx, c, stdout)
	}
	src, err := replay.Open(ctx, replay.Config{Paths: o.Check.Read, Stdin: os.Stdin, Ports: o.Ports(), Mirror: c.Mirror, VNIs: c.VNIs})
	if err != nil {
		return false, err
	}
	defer src.Close()
	kind := src.Kind()
	c.Capture, c.Mirror = &check.Capture{Source: src, Files: o.Check.Read, Asked: c.Mirror}, kind.Mirror
	if kind.Mirror.Bare() {
		c.VNIs = kind.VNIs
	}
	ok, err = check.Run(ctx, c, stdout)
	if fault := src.Fault(); fault != nil {
		fmt.Fprintln(stdout, "note ", fault)
	}
	return ok, err
}

// onePort is --port for check, which has seen that it is one; 0 for none.
func onePort(o *settings.Options) uint16 {
	if ports := o.Ports(); len(ports) > 0 {
		return ports[0].First
	}
	return 0
}
