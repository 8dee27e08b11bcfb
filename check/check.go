// Package check looks at what a mirror brings to an interface, and says in words
// whether netmirror would have work there, and how to call it.
//
// It forwards nothing and never sends a packet to anyone but the targets. To each it makes
// a connection that it closes at once, and a second one, for a TLS handshake, to a plain
// target at a usual port of TLS. What it prints of captured
// packets are numbers and addresses only, so that nothing in them reaches the
// terminal.
package check

import (
	"cmp"
	"context"
	"io"
	"net"
	"strings"
	"time"

	asked "netmirror/service"
	"netmirror/source"
	"netmirror/target"
	"netmirror/wire"
)

// Config says what to look at. Only Interface has to be set, or Sockets, or Capture.
type Config struct {
	Interface string      // "" stands for all with Sockets
	Sockets   bool        // receive by UDP sockets, as --capture udp does
	Capture   *Capture    // in place of an interface; nil: none
	Mirror    wire.Mirror // how its packets come
	VNIs      []uint32    // those that netmirror is to be called with; none: not known yet
	EveryVNI  bool        // no VNIs stand for any, as netmirror is to be called
	Ports     asked.Ports // the service's TCP ports; none: not known yet
	Filters               // what is left out
	Services  []Service   // in place of VNIs, Ports, Filters, Target, TargetOptions, Midstream and DialTimeout, where they are several
	Target    string      // address of the shadow service; "": not known yet
	Midstream string      // where a stream may begin but at a SYN: "http", "any" or "off"; "" means "http"

	TargetOptions target.Options // how the target is reached

	DialTimeout time.Duration // for the target; 0 means 3 s
	Time        time.Duration // how long to look at the mirror's packets; 0 means 10 s

	nth  int               // of the services, 0 for the first or only one
	rest []asked.Selection // of the other services; nil: these are no services that are listed

	// For the command to run:
	Program string              // what netmirror is called as
	Args    []string            // the flags it is to have that say none of the above, such as --config FILE
	File    map[string][]string // values of flags that say some of the above, by flag, which it has from that file
}

// Capture is capture files to look at.
type Capture struct {
	Source source.Source // is read to its end, and not closed
	Files  []string      // what the files are called, for the command to run
	Asked  wire.Mirror   // how the mirror's packets come as far as that has to be said in it
	Empty  bool          // no packet was found in them
}

const (
	defaultDialTimeout = 3 * time.Second
	defaultTime        = 10 * time.Second
	defaultMidstream   = "http"
)

func (c Config) withDefaults() Config {
	c.DialTimeout = cmp.Or(c.DialTimeout, defaultDialTimeout)
	c.Time = cmp.Or(c.Time, defaultTime)
	c.Midstream = cmp.Or(c.Midstream, defaultMidstream)
	c.Program = cmp.Or(c.Program, "netmirror")
	return c
}

// Run writes its findings to out as it makes them, and a verdict at the end. It looks for
// c.Time, or until ctx ends; it reports what it has seen in both cases.
//
// ok means three things. With these settings, or with the only possible values of those not
// given, netmirror would have packets of clients to forward. A target can use them, which is
// not so with TLS. And the target answers, if one is given. The error is a failure to look or
// to write. A wrong set-up, like a missing privilege, is not an error.
func Run(ctx context.Context, c Config, out io.Writer) (ok bool, err error) {
	c = c.withDefaults()
	if err := c.Mirror.Check(); err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &report{out: out}
	if len(c.Services) > 0 {
		return r.services(ctx, c)
	}
	answered := dial(ctx, c) // takes its time meanwhile
	s, err := r.see(ctx, c)
	if err != nil {
		return false, err
	}
	var chosen *choice
	if r.packets(c, s) {
		chosen = r.chosen(c, s)
	}
	r.target(c, answered, chosen)
	r.verdict(c, chosen)
	return r.first == "", r.err
}

// see looks at the mirror's packets, or at the capture files. If it could not look, it says
// why and returns nil.
func (r *report) see(ctx context.Context, c Config) (*seen, error) {
	if c.Capture != nil {
		what := ", which has a mirror's packets"
		switch {
		case c.Capture.Empty:
			what = ""
		case c.Mirror.Bare():
			what = ", which has a host's packets"
		}
		r.say("reading %s%s ...", strings.Join(c.Capture.Files, " "), what)
		return watch(ctx, c.Capture.Source, c)
	}
	var ifi *net.Interface
	if c.Interface != "" {
		var fit bool
		if ifi, fit = r.link(c); !fit {
			return nil, nil
		}
	}
	if c.Sockets {
		return listen(ctx, r, c, ifi)
	}
	return look(ctx, r, c, ifi)
}

// packets says what was seen. It returns false if there is nothing more to tell about it.
func (r *report) packets(c Config, s *seen) bool {
	if s == nil || !r.arrivals(c, s) {
		return false
	}
	r.table(c, s)
	return true
}

// chosen describes the service to forward. It returns nil if none was found.
func (r *report) chosen(c Config, s *seen) *choice {
	ch := r.choose(c, s)
	if ch != nil {
		r.service(c, s, ch)
	}
	return ch
}
