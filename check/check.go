// Package check looks at what a mirror brings to an interface, without
// forwarding anything, and says in words whether netmirror would have work there,
// and how to call it.
package check

import (
	"context"
	"errors"
	"io"
	"time"
)

// Config says what to look at. Only Interface has to be set.
type Config struct {
	Interface string
	VXLANPort uint16   // 0 means 4789
	VNIs      []uint32 // those that netmirror is to be called with; none: not known yet
	Port      uint16   // the service's TCP port; 0: not known yet
	Target    string   // host:port of the shadow service; "": not known yet

	DialTimeout time.Duration // for the target
	Time        time.Duration // how long to look at the mirror's packets

	Program string // what netmirror is called as, for the command to run
}

// Run writes what it finds to out while it finds it, and a verdict. ok says that
// netmirror can be run like this. The error is one that kept it from looking.
func Run(ctx context.Context, c Config, out io.Writer) (ok bool, err error) {
	return false, errors.New("check: not there yet")
}
