package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// ErrPrivilege says that this process may not make network namespaces.
var ErrPrivilege = errors.New("lab: network namespaces need CAP_SYS_ADMIN and CAP_NET_ADMIN")

// Namespace is one machine of the lab: a network namespace. It has no name in the
// file system, so it ends with its last socket and process, even if the program that
// made it crashes.
type Namespace struct {
	label  string
	ns     netns.NsHandle
	link   *netlink.Handle
	cookie uint64 // SO_NETNS_COOKIE of every socket made inside
}

// NewNamespace makes an empty namespace whose loopback interface is still down. label
// appears in errors only. The error is ErrPrivilege if the kernel refuses.
func NewNamespace(label string) (*Namespace, error) {
	n := &Namespace{label: label, ns: netns.None()}
	err := onThread(func() (err error) {
		n.ns, err = netns.New()
		return err
	})
	if errors.Is(err, unix.EPERM) {
		return nil, ErrPrivilege
	}
	if err != nil {
		return nil, fmt.Errorf("lab: make namespace %s: %w", label, err)
	}
	if n.link, err = netlink.NewHandleAt(n.ns); err != nil {
		n.Close()
		return nil, fmt.Errorf("lab: netlink in %s: %w", label, err)
	}
	if err := n.Do(n.readCookie); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// Close releases the namespace. The kernel removes it with its links when no socket
// or process is left in it.
func (n *Namespace) Close() {
	if n.link != nil {
		n.link.Close()
	}
	if n.ns.IsOpen() {
		n.ns.Close()
	}
}

// Do runs f on an OS thread that is inside the namespace. Sockets and processes that
// f makes stay there until they end. Goroutines that f starts run outside.
func (n *Namespace) Do(f func() error) error {
	return onThread(func() error {
		if err := netns.Set(n.ns); err != nil {
			return fmt.Errorf("lab: enter %s: %w", n.label, err)
		}
		return f()
	})
}

// onThread runs f with the goroutine locked to its thread, and then puts the thread
// back into the namespace from which it came.
func onThread(f func() error) error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("lab: own namespace: %w", err)
	}
	defer func() {
		// A thread that cannot go back stays locked. So it ends with its goroutine
		// and does not serve others in the wrong namespace.
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
		home.Close()
	}()
	return f()
}

func (n *Namespace) readCookie() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("lab: socket in %s: %w", n.label, err)
	}
	defer unix.Close(fd)
	n.cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	return err
}

// inside is a control function of net.Dialer and net.ListenConfig. It refuses a socket
// that package net made on a thread outside the namespace.
func (n *Namespace) inside(_, _ string, c syscall.RawConn) error {
	var cookie uint64
	var err error
	if cerr := c.Control(func(fd uintptr) {
		cookie, err = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	}); cerr != nil {
		return cerr
	}
	if err == nil && cookie != n.cookie {
		err = fmt.Errorf("lab: socket was made outside %s", n.label)
	}
	return err
}

// Dial opens a TCP connection from inside the namespace. The address is no name, so
// package net does not look it up or try several addresses on other threads.
func (n *Namespace) Dial(ctx context.Context, to netip.AddrPort) (*net.TCPConn, error) {
	return n.dial(ctx, net.Dialer{Control: n.inside}, to)
}

// DialMultipath is Dial for an MPTCP connection. It fails if the peer does not speak
// MPTCP.
func (n *Namespace) DialMultipath(ctx context.Context, to netip.AddrPort) (*net.TCPConn, error) {
	d := net.Dialer{Control: n.inside}
	d.SetMultipathTCP(true)
	conn, err := n.dial(ctx, d, to)
	if err != nil {
		return nil, err
	}
	if is, err := conn.MultipathTCP(); err != nil || !is {
		conn.Close()
		return nil, fmt.Errorf("lab: the connection to %v is no MPTCP: %w", to, err)
	}
	return conn, nil
}

func (n *Namespace) dial(ctx context.Context, d net.Dialer, to netip.AddrPort) (*net.TCPConn, error) {
	var conn net.Conn
	err := n.Do(func() (err error) {
		conn, err = d.DialContext(ctx, "tcp", to.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// DialUDP opens a connected UDP socket inside the namespace.
func (n *Namespace) DialUDP(to netip.AddrPort) (*net.UDPConn, error) {
	d := net.Dialer{Control: n.inside}
	var conn net.Conn
	err := n.Do(func() (err error) {
		conn, err = d.Dial("udp", to.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

// Listen opens a TCP listener inside the namespace. It speaks multipath TCP with
// clients that ask for it, as servers in Go do.
func (n *Namespace) Listen(at netip.AddrPort) (*net.TCPListener, error) {
	lc := net.ListenConfig{Control: n.inside}
	lc.SetMultipathTCP(true)
	var ln net.Listener
	err := n.Do(func() (err error) {
		ln, err = lc.Listen(context.Background(), "tcp", at.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	return ln.(*net.TCPListener), nil
}

// Start starts cmd inside the namespace. The kernel kills it when this program
// dies, so that an interrupted run leaves nothing behind.
func (n *Namespace) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	// The kernel sends the signal when the starting thread ends. A thread that went
	// back in onThread lives as long as the program.
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return n.Do(cmd.Start)
}

// sysctl sets a key below /proc/sys/net, which belongs to the namespace of the thread
// that opens it.
func (n *Namespace) sysctl(key, value string) error {
	return n.Do(func() error {
		return os.WriteFile("/proc/sys/net/"+key, []byte(value), 0o644)
	})
}
