package status

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestListen(t *testing.T) {
	ln, err := Listen(":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if ip := ln.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
		t.Errorf("without a host it listens on %v", ip)
	}
	for address, want := range map[string]string{
		"9090": "need [HOST]:PORT", ln.Addr().String(): "port is taken", "/no/such/dir/sock": "no such file",
	} {
		if l, err := Listen(address); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
			if l != nil {
				l.Close()
			}
		}
	}
}

// That no descriptor is left is told with the limit.
func TestListenWithoutDescriptors(t *testing.T) {
	for _, address := range []string{":9090", "/tmp/sock"} {
		err := refused(address, &net.OpError{Op: "listen", Err: os.NewSyscallError("socket", syscall.EMFILE)})
		if !strings.Contains(err.Error(), "--http "+address) || !strings.Contains(err.Error(), "raise the limit of open files") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// All addresses of IPv4 are no addresses of IPv6, which those of IPv6 take in.
func TestListenFamilies(t *testing.T) {
	for address, both := range map[string]bool{"0.0.0.0:0": false, "[::]:0": true} {
		ln, err := Listen(address)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		for host, want := range map[string]bool{"127.0.0.1": true, "::1": both} {
			c, err := net.Dial("tcp", net.JoinHostPort(host, port))
			if err == nil {
				c.Close()
			}
			if got := err == nil; got != want {
				t.Errorf("%s: %s is answered: %v, want %v", address, host, got, want)
			}
		}
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "http.sock")
	s := serve(t, path, false)
	if code, _ := s.get("/healthz"); code != 200 {
		t.Errorf("over the socket: %d", code)
	}
	if res, _ := s.do("GET", "/healthz", "any.name"); res.StatusCode != 200 {
		t.Errorf("a name over the socket: %s", res.Status)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "another process serves") {
		t.Errorf("a socket that is served: %v", err)
	}
}

// A socket stays behind where its server was killed.
func TestUnixSocketThatWasLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "http.sock")
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	ln, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("after Close: %v", err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("in place of a file: %v", err)
	}
	if _, err := Listen(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "http.sock") {
		t.Errorf("in place of a directory: %v", err)
	}
	// One of another kind, as /dev/log is.
	other, err := net.ListenPacket("unixgram", path+"2")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := Listen(path + "2"); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("in place of a datagram socket: %v", err)
	}
	if _, err := os.Lstat(path + "2"); err != nil {
		t.Errorf("the other socket is gone: %v", err)
	}
	// One that has taken this one's place meanwhile.
	mine, err := Listen(path + "3")
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(path + "3")
	theirs, err := Listen(path + "3")
	if err != nil {
		t.Fatal(err)
	}
	mine.Close()
	if _, err := os.Lstat(path + "3"); err != nil {
		t.Errorf("closing removed another's socket: %v", err)
	}
	theirs.Close()
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Error("a file was removed for the socket")
	}
}
