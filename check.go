package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"netmirror/check"
	"netmirror/replay"
	"netmirror/service"
	"netmirror/settings"
)

// checkConfig is what the options ask check for. program is what netmirror was called as.
func checkConfig(o *settings.Options, program string) check.Config {
	c := check.Config{
		Interface: checkedInterface(o), Sockets: o.Capture.Capture == settings.CaptureUDP, Mirror: o.Mirror(), Time: o.Check.Time,
		Program: program, Args: o.Given.Args, File: o.Given.File,
	}
	if len(o.Services) == 0 { // check is to find out what is not given
		c.VNIs, c.Ports, c.Target = o.VNIs(), o.Ports(), strings.Join(o.Target.To, "")
		c.EveryVNI = len(o.Selection.VNI) > 0 && o.VNIs().Any()
		c.Filters = filters(o.Common())
		c.TargetOptions = o.TargetOptions()
		c.DialTimeout, c.Midstream = o.Target.DialTimeout, o.Fidelity.Midstream
	}
	for _, s := range o.Services {
		c.Services = append(c.Services, check.Service{
			Name: s.Name, Selection: s.Selection, Filters: filters(s.Settings), Midstream: s.Settings.Midstream,
			Target: s.Target, TargetOptions: s.Settings.TargetOptions(), DialTimeout: s.Settings.DialTimeout,
		})
	}
	return c
}

// filters are what leaves out some of a service's connections and requests.
func filters(s settings.ServiceOptions) check.Filters {
	f := check.Filters{Requests: s.Requests}
	f.Clients, _ = s.ParseClients() // settings has seen to these
	f.Sample, _ = s.ParseSample()
	return f
}

// checkedInterface is the interface to check, "" for all.
func checkedInterface(o *settings.Options) string {
	if o.OnAnyInterface() || len(o.Capture.Iface) == 0 {
		return ""
	}
	return o.Capture.Iface[0]
}

// runCheck checks an interface or, with --read, capture files. ok is false if check found a fault.
func runCheck(ctx context.Context, o *settings.Options, program string, stdout, stderr io.Writer) (ok bool, err error) {
	warnOfVariables(o, newLogger(o, stderr))
	c := checkConfig(o, program)
	if len(o.Check.Read) == 0 {
		return check.Run(ctx, c, stdout)
	}
	src, err := replay.Open(ctx, replay.Config{
		Paths: o.Check.Read, Stdin: os.Stdin, Ports: checkedPorts(o), Mirror: c.Mirror, VNIs: o.VNIs(), EveryVNI: !o.Simple() || c.EveryVNI,
	})
	if err != nil {
		return false, err
	}
	defer src.Close()
	kind := src.Kind()
	c.Capture, c.Mirror = &check.Capture{Source: src, Files: o.Check.Read, Asked: c.Mirror, Empty: src.Empty()}, kind.Mirror
	if kind.Mirror.Bare() {
		c.VNIs = kind.VNIs
		for i := range c.Services {
			c.Services[i].VNIs = kind.VNIs
		}
	}
	ok, err = check.Run(ctx, c, stdout)
	if fault := src.Fault(); fault != nil {
		fmt.Fprintln(stdout, "note ", fault)
	}
	return ok, err
}

// checkedPorts are the ports of all services, or none if check is to find them.
func checkedPorts(o *settings.Options) service.Ports {
	if len(o.Services) > 0 {
		return o.Captured().Ports
	}
	return o.Ports()
}
