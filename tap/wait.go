package tap

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/link"
)

const (
	// downInterval is how often an interface that is down is looked at. Its
	// coming up, and its removal after it went down, wake no packet socket.
	downInterval = 200 * time.Millisecond
	// drainLimit bounds the wait for the kernel to hand over the last block,
	// which takes one Config.BlockTimeout.
	drainLimit = time.Second
)

// wait returns when there may be a block to read, or with the error that ends
// the capture.
func (r *Ring) wait() error {
	now := time.Now()
	if r.waitSpare(now) || r.ready() { // since it was found empty
		return nil
	}
	r.emptied.Store(int64(now.Sub(r.opened)))
	if r.stopping.Load() || r.gone != nil {
		return r.waitLast()
	}
	if r.busyPoll() {
		return nil
	}
	until := r.lookAtSpare(now)
	if paused, err := r.group.pacer.Pause(r.paced, now); paused {
		return r.waitError(err)
	}
	if r.linkDown.Load() {
		until = time.Now().Add(downInterval)
	}
	if err := r.sleep(until); err != nil {
		return err
	}
	if r.linkDown.Load() {
		return r.checkLink()
	}
	return nil
}

// waitSpare is wait while there are packets in the spare ring, which the first ring's reader
// reads. The others see to it that it does. It reports false otherwise, and where, after
// Stop, that takes too long.
func (r *Ring) waitSpare(now time.Time) bool {
	r.late = !r.drainUntil.IsZero() && now.After(r.drainUntil)
	if r.late || !r.group.overflowing() {
		return false
	}
	if r.stopping.Load() || r.gone != nil {
		r.drain(now)
	}
	if first := r.group.rings[0]; r != first {
		first.nudge()
	}
	time.Sleep(spareLook)
	return true
}

// drain begins the time in which the last blocks are waited for.
func (r *Ring) drain(now time.Time) {
	if r.drainUntil.IsZero() {
		r.drainUntil = now.Add(r.cfg.BlockTimeout + drainLimit)
	}
}

// nudge wakes the reader: packets in the spare ring do not.
func (r *Ring) nudge() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.sleeper.Wake()
		r.paced.CallBack()
	}
}

// busyPoll looks for a block over and over for Config.BusyPoll, and lets other goroutines
// run in between. It is true when one came.
func (r *Ring) busyPoll() bool {
	if r.cfg.BusyPoll == 0 {
		return false
	}
	for end := time.Now().Add(r.cfg.BusyPoll); !r.stopping.Load() && time.Now().Before(end); runtime.Gosched() {
		if r.pending() {
			return true
		}
	}
	return false
}

// waitLast is wait after Stop, or when the interface is gone. The end has come
// when no block was handed over for longer than the kernel keeps one open, which
// also outlasts a packet that met the old filter on another CPU, and the kernel
// has counted no packet that was not read.
func (r *Ring) waitLast() error {
	if r.stopErr != nil {
		return r.stopErr
	}
	start := time.Now()
	r.drain(start)
	quiet := start.Add(r.cfg.BlockTimeout + time.Millisecond)
	if err := r.sleep(quiet); err != nil {
		return err
	}
	// By the clock, as it may also have been Stop's wake-up.
	now := time.Now()
	if r.ready() || now.Before(quiet) {
		return nil
	}
	if r.captured() != r.taken && now.Before(r.drainUntil) {
		return nil
	}
	if r.gone != nil {
		return r.gone
	}
	return io.EOF
}

// sleep waits for a block, for Stop, for an error of the socket or until a time,
// of which zero is never. It returns early now and then.
func (r *Ring) sleep(until time.Time) error {
	r.sleepErr = nil
	if err := r.sleeper.UntilEvent(until, r.awake); err != nil {
		return r.waitError(err)
	}
	return r.sleepErr
}

// waitError says what could not be waited for; err may be nil.
func (r *Ring) waitError(err error) error {
	if err != nil {
		err = fmt.Errorf("waiting for packets on %s: %w", r.cfg.Interface, err)
	}
	return err
}

// awakened says whether sleep is to end.
func (r *Ring) awakened(event bool) bool {
	if r.pending() {
		return true
	}
	down := r.linkDown.Load()
	if event {
		r.sleepErr = r.socketError()
	}
	// After Stop the time alone ends the wait for the last block.
	return r.sleepErr != nil || r.linkDown.Load() != down || r.stopping.Load() && r.drainUntil.IsZero()
}

// socketError takes the error off the socket. That the interface went down is
// none to Next: the kernel goes on capturing when it comes up.
func (r *Ring) socketError() error {
	err := takeError(r.fd)
	switch err {
	case nil:
		return nil
	case unix.ENETDOWN:
		r.linkDown.Store(true)
		r.countLinkDown()
		return nil
	}
	return fmt.Errorf("capturing on %s: %w", r.cfg.Interface, err)
}

// takeError takes the pending error off a socket (SO_ERROR, socket(7)).
func takeError(fd int) error {
	left, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && left != 0 {
		err = unix.Errno(left)
	}
	return err
}

// checkLink sees whether an interface that went down is up again, or gone, which
// ends the capture after what is in the ring. It asks by the socket, so that
// neither a new name nor the thread's network namespace matters.
func (r *Ring) checkLink() error {
	gone := fmt.Errorf("%w: %s was removed while capturing; start again when it is back",
		link.ErrGone, r.cfg.Interface)
	bound, err := unix.Getsockname(r.fd)
	if err != nil {
		return fmt.Errorf("looking for %s: %w", r.cfg.Interface, err)
	}
	at, ok := bound.(*unix.SockaddrLinklayer)
	if !ok || at.Ifindex <= 0 {
		r.gone = gone // the kernel writes -1
		return nil
	}
	switch up, err := link.Up(r.fd, at.Ifindex); {
	case errors.Is(err, link.ErrGone):
		r.gone = gone
	case err != nil:
		return fmt.Errorf("looking for %s: %w", r.cfg.Interface, err)
	default:
		r.linkDown.Store(!up)
	}
	return nil
}
