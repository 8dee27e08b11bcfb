// Reader opens the ring that netmirror captures with, on the interface that it
// is given, and counts the frames until SIGTERM: what no netmirror on the same
// traffic can cost less than.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"netmirror/tap"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: reader INTERFACE")
		os.Exit(1)
	}
	if err := count(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "reader:", err)
		os.Exit(1)
	}
}

// count logs as netmirror does, as far as the measurement reads it.
func count(iface string) error {
	ring, err := tap.Open(tap.Config{Interface: iface, BlockBytes: 256 << 10})
	if err != nil {
		return err
	}
	defer ring.Close()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		ring.Stop()
	}()
	fmt.Fprintln(os.Stderr, "msg=capturing")
	frames := 0
	for {
		batch, err := ring.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		frames += len(batch)
	}
	fmt.Fprintf(os.Stderr, "msg=stats packets_received=%d kernel_drops=%d\n", frames, ring.Stats().Drops)
	return nil
}
