package bridge

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"

	"netmirror/outcome"
)

// Failures to connect that are not the target's: this host ran out of what a
// connection takes. They say nothing about the target.
var (
	ErrNoDescriptor = errors.New("bridge: no file descriptor left")
	ErrNoPort       = errors.New("bridge: no local port left")
)

// localFailure is ErrNoDescriptor or ErrNoPort where an attempt to connect failed
// for that, else nil.
func localFailure(err error) error {
	var call *os.SyscallError
	if errors.As(err, &call) && call.Syscall == "bind" {
		return nil // the source address is not this host's; ports are not chosen there
	}
	var lookup *net.DNSError // it has the text of its cause alone
	is := func(cause syscall.Errno) bool {
		return errors.Is(err, cause) || errors.As(err, &lookup) && strings.Contains(lookup.Err, cause.Error())
	}
	switch {
	case is(syscall.EMFILE), is(syscall.ENFILE):
		return ErrNoDescriptor
	case is(syscall.EADDRNOTAVAIL):
		return ErrNoPort
	}
	return nil
}

// dialEnd is how a stream ends whose last attempt to connect failed with err.
func dialEnd(err error) outcome.End {
	switch localFailure(err) {
	case ErrNoDescriptor:
		return outcome.EndNoDescriptor
	case ErrNoPort:
		return outcome.EndNoPort
	}
	return outcome.EndTargetRefused
}
