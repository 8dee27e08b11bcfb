package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// subject is a program that is measured.
type subject struct {
	name     string
	path     string
	flags    []string
	stranger bool // not a netmirror: it is called with four words, and keeps no books
}

func netmirrorWith(name string, flags ...string) subject {
	return subject{name: name, path: netmirrorPath, flags: flags}
}

var (
	oneWorker  = []string{"--workers", "1"}
	twoWorkers = []string{"--workers", "2"}
	overUDP    = []string{"--workers", "1", "--capture", "udp"}
)

// besideFloor measures netmirror and what it is compared with in turn: bench/floor,
// and a vxlan-to-http where NETMIRROR_PEER is its path.
func besideFloor(b *testing.B, measure func(b *testing.B, p subject), more ...subject) {
	all := []subject{{name: "floor", path: buildFloor(b), stranger: true}, netmirrorWith("netmirror", oneWorker...)}
	if path := os.Getenv("NETMIRROR_PEER"); path != "" {
		all = append(all, subject{name: "peer", path: path, stranger: true})
	}
	eachOf(b, measure, append(all, more...)...)
}

func eachOf(b *testing.B, measure func(b *testing.B, p subject), subjects ...subject) {
	for _, p := range subjects {
		b.Run(p.name, func(b *testing.B) {
			for range b.N {
				measure(b, p)
			}
		})
	}
}

func buildFloor(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "floor")
	cmd := exec.Command("go", "build", "-o", path, "netmirror/bench/floor")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("build floor: %v\n%s", err, out)
	}
	return path
}

// play has a subject capture for a shadow service.
func (s *scene) play(b testing.TB, shadow lab.Handler, p subject) {
	b.Helper()
	s.serveShadow(b, behindFirst(shadow))
	if !p.stranger {
		s.startNetmirror(b, p.flags...)
		s.ready(b)
		return
	}
	s.netmirror = start(b, s.Mon, p.path, lab.MirrorLink, "42", fmt.Sprint(servicePort), s.Shadow(shadowPort).String())
	s.awaitPacketSocket(b)
	c, err := s.Cli.Dial(s.ctx, s.Origin(servicePort))
	if err != nil {
		b.Fatal(err)
	}
	_, err = c.Write([]byte("first"))
	c.Close()
	if err == nil {
		err = s.shadow.Wait(s.ctx, 1)
	}
	if err != nil {
		b.Fatalf("%s does not forward: %v", p.name, err)
	}
}

// awaitPacketSocket returns when the program that was started captures.
func (s *scene) awaitPacketSocket(b testing.TB) {
	b.Helper()
	path := fmt.Sprintf("/proc/%d/net/packet", s.netmirror.cmd.Process.Pid)
	for {
		// A line for each socket behind a header; the interface's number is the fifth field.
		text, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 4 && f[4] != "0" && f[0] != "sk" {
				return
			}
		}
		select {
		case <-s.netmirror.done:
			b.Fatalf("%s ended at once", s.netmirror.cmd.Path)
		case <-s.ctx.Done():
			b.Fatalf("%s does not capture", s.netmirror.cmd.Path)
		case <-time.After(time.Millisecond):
		}
	}
}

// end ends the subject and checks its books, of which a stranger has none.
func (s *scene) end(b *testing.B, p subject, lost int) books {
	b.Helper()
	if p.stranger {
		s.netmirror.cmd.Process.Kill()
		<-s.netmirror.done
		return nil
	}
	s.netmirror.stop(b)
	return s.excused(b, lost)
}
