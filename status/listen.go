package status

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Listen opens the address of --http: [HOST]:PORT, without HOST on the IPv4
// loopback address, or the path of a unix socket, which takes the place of one that
// nobody serves any more. Closing the listener removes it.
func Listen(address string) (net.Listener, error) {
	if strings.HasPrefix(address, "/") {
		return listenUnix(address)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("--http %q: need [HOST]:PORT, like :9090 or 0.0.0.0:9090, or the /PATH of a unix socket", address)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	network := "tcp"
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
		network = "tcp4" // 0.0.0.0 would be all addresses of IPv6 as well, which its firewall may not know of
	}
	ln, err := net.Listen(network, net.JoinHostPort(host, port))
	if err != nil {
		return nil, refused(address, err)
	}
	return ln, nil
}

// refused says what to do where --http cannot listen.
func refused(address string, err error) error {
	port := !strings.HasPrefix(address, "/")
	switch {
	case port && errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("--http %s: the port is taken; choose another one (ss -ltnp shows whose it is)", address)
	case port && errors.Is(err, syscall.EACCES):
		return fmt.Errorf("--http %s: no permission for this port; choose one from 1024 on", address)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fmt.Errorf("--http %s: %w; raise the limit of open files (LimitNOFILE= in the unit, ulimit -n in a shell)", address, err)
	case errors.As(err, new(*net.DNSError)):
		return fmt.Errorf("--http %s: %w; give an address of this host, or 0.0.0.0 for all of IPv4", address, err)
	}
	return fmt.Errorf("--http %s: %w", address, err)
}

// listenUnix makes a socket in the file system. One that is there already is
// replaced only where it is certain that nobody listens at it.
func listenUnix(path string) (net.Listener, error) {
	ln, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		info, serr := os.Lstat(path)
		if serr == nil && info.IsDir() {
			return nil, fmt.Errorf("--http %s: this is a directory; name a socket in it, as in %s", path, filepath.Join(path, "http.sock"))
		}
		if serr != nil || info.Mode().Type() != fs.ModeSocket {
			return nil, fmt.Errorf("--http %s: there is a file that is no socket; remove it, or choose another path", path)
		}
		c, derr := net.Dial("unix", path)
		if derr == nil {
			c.Close()
		}
		if !errors.Is(derr, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("--http %s: another process serves this socket; choose another path", path)
		}
		if err = os.Remove(path); err == nil {
			ln, err = net.Listen("unix", path)
		}
	}
	if err != nil {
		return nil, refused(path, err)
	}
	own := &unixListener{UnixListener: ln.(*net.UnixListener), path: path}
	own.SetUnlinkOnClose(false)
	if own.file, err = os.Lstat(path); err != nil {
		ln.Close()
		return nil, fmt.Errorf("--http %s: %w", path, err)
	}
	return own, nil
}

// unixListener removes its socket when it is closed, unless another one has taken
// its place.
type unixListener struct {
	*net.UnixListener
	path string
	file fs.FileInfo
}

func (l *unixListener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.file) {
		os.Remove(l.path)
	}
	return l.UnixListener.Close()
}
