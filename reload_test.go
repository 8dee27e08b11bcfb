package main

import (
	"os/signal"
	"syscall"
	"testing"
)

// A SIGHUP that comes while the program ends does not end it in another way.
func TestHangupAtTheEnd(t *testing.T) {
	defer signal.Reset(syscall.SIGHUP)
	told := make(chan struct{}, 1)
	stop := onHangup(func(<-chan struct{}) { told <- struct{}{} })
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	<-told
	stop()
	if !signal.Ignored(syscall.SIGHUP) {
		t.Error("SIGHUP ends the program once it has stopped")
	}
}
