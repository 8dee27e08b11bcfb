// Floor forwards mirrored TCP connections at the least cost that bench knows: it
// reads the ring that netmirror reads, and makes one write for each flow and block.
//
//	floor INTERFACE VNI PORT HOST:PORT
//
// It is for measurements only. It leaves out what a client sent a second time, and
// believes everything else: it does not look for lost, reordered or corrupt
// segments, and it limits nothing. It knows VXLAN over IPv4 with IPv4 inside, and no
// fragments. One thread does all the work, and makes its system calls without telling
// Go's scheduler.
package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
)

func main() {
	fmt.Fprintln(os.Stderr, "floor:", run(os.Args[1:]))
	os.Exit(1)
}

// run forwards until something fails, and says what.
func run(args []string) error {
	m, iface, target, err := parseArgs(args)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := holdPort(vxlanPort); err != nil {
		return err
	}
	r, err := openRing(iface)
	if err != nil {
		return err
	}
	f := newForwarder(m, target)
	for {
		block, err := r.next(f.patience())
		if err != nil {
			return err
		}
		if block != nil {
			eachFrame(block, f.take)
		}
		f.deliver()
		if block != nil {
			r.release(block)
		}
	}
}

func parseArgs(args []string) (m mirror, iface string, target netip.AddrPort, err error) {
	if len(args) != 4 {
		return m, "", target, errors.New("usage: floor INTERFACE VNI PORT HOST:PORT")
	}
	vni, err := strconv.ParseUint(args[1], 10, 24)
	if err != nil {
		return m, "", target, err
	}
	port, err := strconv.ParseUint(args[2], 10, 16)
	if err != nil {
		return m, "", target, err
	}
	at, err := net.ResolveTCPAddr("tcp4", args[3])
	if err != nil {
		return m, "", target, err
	}
	target = netip.AddrPortFrom(at.AddrPort().Addr().Unmap(), at.AddrPort().Port())
	return mirror{vni: uint32(vni), port: uint16(port)}, args[0], target, nil
}
