package main

import (
	"fmt"
	"log/slog"
	"slices"

	"netmirror/source"
	"netmirror/tap"
	"netmirror/udp"
)

// What --capture says.
const (
	captureRing = "ring"
	captureUDP  = "udp"
)

// anyInterface is what --iface says for all of them.
const anyInterface = "any"

// anyInterface says whether --iface stands for all of them.
func (o *options) anyInterface() bool { return slices.Contains(o.Capture.Iface, anyInterface) }

// openSources starts the capture. What is open is returned with an error as well.
func (o *options) openSources() (all []source.Source, err error) {
	if o.Capture.Capture == captureUDP {
		return sourcesOf(udp.OpenGroup(o.udpConfig(), o.workers()))
	}
	for _, name := range o.Capture.Iface {
		c := tap.Config{
			Interface: name, Mirror: o.mirror(), VNIs: o.capturedVNIs(), InnerPorts: o.capturedPorts(),
			RingBytes: o.Capture.RingMiB << 20 / len(o.Capture.Iface), BlockBytes: ringBlock, BlockTimeout: o.Capture.RingWait,
			BusyPoll: o.Capture.BusyPoll,
		}
		if o.anyInterface() {
			c.Interface = tap.AnyInterface
		}
		rings, err := sourcesOf(tap.OpenGroup(c, o.workers()))
		if all = append(all, rings...); err != nil {
			return all, err
		}
	}
	return all, nil
}

func (o *options) udpConfig() udp.Config {
	c := udp.Config{
		Interfaces: o.Capture.Iface, Mirror: o.mirror(), VNIs: o.capturedVNIs(), InnerPorts: o.capturedPorts(),
		Bytes: o.Capture.RingMiB << 20, Wait: o.Capture.RingWait, BusyPoll: o.Capture.BusyPoll,
	}
	if o.anyInterface() {
		c.Interfaces = nil
	}
	return c
}

// checkSockets says where UDP sockets cannot receive the mirror. With --encap auto they
// take what of it comes over UDP.
func (o *options) checkSockets() error {
	if m := o.mirror(); o.Capture.Capture == captureUDP && o.live() && len(m.UDP()) == 0 {
		comes := "comes in IP itself, not in UDP"
		if m.Bare() {
			comes = "has the mirrored frames as they are, which no socket receives"
		}
		return fmt.Errorf("--encap %v %s; use --capture ring, which takes CAP_NET_RAW, or have the mirror send VXLAN or GENEVE", m.Encap, comes)
	}
	return nil
}

func sourcesOf[S source.Source](all []S, err error) ([]source.Source, error) {
	sources := make([]source.Source, len(all))
	for i, s := range all {
		sources[i] = s
	}
	return sources, err
}

// warnOfBuffer tells what the kernel granted UDP sockets where that is less than what
// --ring-mib asks for: a burst may then find no room.
func (o *options) warnOfBuffer(log *slog.Logger, sources []source.Source) {
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
		log.Warn("the kernel grants less memory for waiting packets than --ring-mib; a burst may be lost in part",
			"asked_kib", asked>>10, "granted_kib", granted>>10,
			"do", fmt.Sprintf("sudo sysctl -w net.core.rmem_max=%d, on the host of a container, and start again; or lower --ring-mib", needed))
	}
}
