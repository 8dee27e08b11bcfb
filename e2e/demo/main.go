// Demo shows netmirror at work on one machine: a service, the kernel's mirror
// of its traffic, netmirror, and a shadow service, each in a network namespace
// of its own, and what arrives where.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/e2e/lab"
)

const (
	servicePort = 8080
	shadowPort  = 9090
	refresh     = 500 * time.Millisecond
)

func main() {
	binary := flag.String("netmirror", "bin/netmirror", "the netmirror to show")
	length := flag.Duration("for", 5*time.Second, "how long clients make requests")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := show(ctx, *binary, *length)
	if errors.Is(err, lab.ErrPrivilege) {
		err = asNamespaceRoot()
	}
	var inner *exec.ExitError
	switch {
	case errors.As(err, &inner):
		os.Exit(1) // it has said why
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// namespaceMark is set in the environment of the demo that asNamespaceRoot
// starts, which does not try again.
const namespaceMark = "DEMO_NAMESPACE" // none of netmirror's, which would warn of it

// asNamespaceRoot runs the demo again as root of a user namespace, where an
// ordinary user may make networks.
func asNamespaceRoot() error {
	refused := errors.New("this system lets only root make network namespaces: run sudo make demo")
	self, err := os.Executable()
	if err != nil || os.Getenv(namespaceMark) != "" {
		return refused
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), namespaceMark+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if err := cmd.Start(); err != nil {
		return refused
	}
	return cmd.Wait()
}

// demo is the running scene.
type demo struct {
	*lab.Lab
	origin, shadow *lab.Server
}

func show(ctx context.Context, binary string, length time.Duration) error {
	l, err := lab.New(lab.Options{})
	if err != nil {
		return err
	}
	defer l.Close()
	d := &demo{Lab: l}
	if d.origin, err = l.Srv.Serve(l.Origin(servicePort), lab.AnswerHTTP); err != nil {
		return err
	}
	defer d.origin.Close()
	if d.shadow, err = l.Dst.Serve(l.Shadow(shadowPort), lab.AnswerHTTP); err != nil {
		return err
	}
	defer d.shadow.Close()

	cmd := exec.Command(binary, "--iface", lab.MirrorLink, "--vni", "42", "--port", fmt.Sprint(servicePort),
		"--to", l.Shadow(shadowPort).String())
	logged, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := l.Mon.Start(cmd); err != nil {
		return fmt.Errorf("start netmirror: %w", err)
	}
	defer cmd.Process.Kill()
	log := bufio.NewScanner(logged)
	if err := awaitCapture(log); err != nil {
		return err
	}
	// netmirror tries the target when it starts: the shadow's first connection.
	if err := d.shadow.Wait(ctx, 1); err != nil {
		return err
	}
	fmt.Printf("clients ─▶ service (%v) ─ mirror, VXLAN ─▶ netmirror ─▶ shadow (%v)\n\n", l.Origin(servicePort), l.Shadow(shadowPort))
	if err := d.play(ctx, length); err != nil {
		return err
	}
	return d.verdict(ctx, cmd, log)
}

// awaitCapture returns when netmirror says that it captures.
func awaitCapture(log *bufio.Scanner) error {
	var lines []string
	for log.Scan() {
		if lines = append(lines, log.Text()); strings.Contains(log.Text(), "msg=capturing") {
			return nil
		}
	}
	return fmt.Errorf("netmirror ended: %s", strings.Join(lines, "; "))
}

// play has clients make requests, on connections of all kinds, and shows the
// figures while they do.
func (d *demo) play(ctx context.Context, length time.Duration) error {
	playing, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- d.clients(playing) }()
	t := time.NewTicker(refresh)
	defer t.Stop()
	for {
		select {
		case err := <-done:
			d.figures()
			return errors.Join(err, ctx.Err())
		case <-t.C:
			d.figures()
		}
	}
}

// clients makes requests until ctx ends: eight connections are kept alive, and
// between their requests others come and go.
func (d *demo) clients(ctx context.Context) error {
	client := d.ClientOf(servicePort)
	always := context.WithoutCancel(ctx)
	return lab.Each(always, 8, 8, func(_ context.Context, i int) error {
		return client.With(always, func(s *lab.Stream) error {
			pace := time.NewTicker(40 * time.Millisecond)
			defer pace.Stop()
			for r := uint64(i) << 32; ctx.Err() == nil; r++ {
				if err := s.Post(r, 2<<10); err != nil {
					return err
				}
				if err := client.With(always, func(s *lab.Stream) error { return s.Get(r) }); err != nil {
					return err
				}
				<-pace.C
			}
			return nil
		})
	})
}

func (d *demo) figures() {
	fmt.Printf("service: %5d connections %9d bytes    shadow: %5d connections %9d bytes\n",
		len(d.origin.Records()), d.origin.Received(), len(d.shadow.Records())-1, d.shadow.Received())
}

// verdict stops netmirror and says whether the shadow got what the service got.
func (d *demo) verdict(ctx context.Context, cmd *exec.Cmd, log *bufio.Scanner) error {
	if err := d.origin.Wait(ctx, 1); err != nil {
		return err
	}
	want := d.origin.Records()
	if err := d.shadow.Wait(ctx, len(want)+1); err != nil {
		return err
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	stats := ""
	for log.Scan() {
		if _, text, ok := strings.Cut(log.Text(), "msg=stats "); ok {
			stats = text
		}
	}
	if err := cmd.Wait(); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("netmirror: %w", err)
	}
	fmt.Printf("\nnetmirror: %s\n", stats)
	got := d.shadow.Records()[1:]
	if diff := lab.Diff(want, got); diff != "" {
		return fmt.Errorf("not equal: %s", diff)
	}
	fmt.Printf("equal: %d connections, %d bytes, every one identical by SHA-256\n", len(got), d.shadow.Received())
	return nil
}
