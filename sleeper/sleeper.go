package sleeper

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Sleeper lets a reader's goroutine sleep: it is an epoll instance in Go's poller that holds a
// timer and, for one event at a time, the socket. So packets do not wake a goroutine that
// waits for the timer.
type Sleeper struct {
	file   *os.File        // the epoll instance
	conn   syscall.RawConn // likewise
	epoll  int             // likewise
	socket int             // the caller's
	timer  int             // a timerfd on CLOCK_MONOTONIC

	start   time.Time // the moment that all times of the timer count from,
	startAt int64     // and what CLOCK_MONOTONIC was, in nanoseconds

	deadline bool               // file has one, other than Interrupt's
	watched  bool               // the socket is in
	set      bool               // the timer is, or has run out
	events   [2]unix.EpollEvent // fetch's: of both

	// Of the wait that runs.
	done    func(event bool) bool
	at      time.Time
	begun   bool // the timer is set, or an event may have come
	err     error
	onEvent func(uintptr) bool // event and alarm, made once
	onAlarm func(uintptr) bool
}

// New makes a Sleeper for a socket, or for an epoll instance of several. The caller still owns
// it.
func New(socket int) (*Sleeper, error) {
	s := &Sleeper{socket: socket, timer: -1}
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("waiting on a socket: %w", err), s.Close())
	}
	s.onEvent, s.onAlarm = s.event, s.alarm
	return s, nil
}

func (s *Sleeper) open() (err error) {
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	err = unix.SetNonblock(s.epoll, true) // which has NewFile try the poller
	s.file = os.NewFile(uintptr(s.epoll), "epoll")
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if s.conn, err = s.file.SyscallConn(); err != nil {
		return err
	}
	// Fails where the poller did not take it.
	if err := s.file.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if s.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return os.NewSyscallError("timerfd_create", err)
	}
	if err := s.control(unix.EPOLL_CTL_ADD, s.timer, unix.EPOLLIN); err != nil {
		return err
	}
	var now unix.Timespec
	s.start = time.Now()
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return os.NewSyscallError("clock_gettime", err)
	}
	s.startAt = now.Nano()
	return nil
}

func (s *Sleeper) control(op, fd int, events uint32) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(s.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}))
}

// Interrupt ends the current wait, if any. It may be called from any goroutine, but not after
// Close.
func (s *Sleeper) Interrupt() {
	// The error could only be that the file has no poller, which open has ruled
	// out.
	_ = s.file.SetReadDeadline(time.Unix(1, 0))
}

// Wake ends the current wait. Where none runs it may have no effect: whoever needs one calls
// again. It may be called from any goroutine, but not after Close.
func (s *Sleeper) Wake() {
	// The error could only be that there is no such timer.
	_ = s.setTime(1)
}

// UntilEvent waits until done reports true, or until a time; zero is never. done is called
// before the wait and after each event of the socket, including an error.
func (s *Sleeper) UntilEvent(until time.Time, done func(event bool) bool) error {
	return s.wait(until, done, s.onEvent)
}

// UntilAlarm waits until a time, or until done reports true. What arrives on the socket does
// not end the wait.
func (s *Sleeper) UntilAlarm(at time.Time, done func(event bool) bool) error {
	s.at = at
	return s.wait(time.Time{}, done, s.onAlarm)
}

func (s *Sleeper) wait(until time.Time, done func(event bool) bool, woken func(uintptr) bool) error {
	if s.deadline || !until.IsZero() {
		if err := s.file.SetReadDeadline(until); err != nil {
			return err
		}
		s.deadline = !until.IsZero()
	}
	s.done, s.begun, s.err = done, false, nil
	if err := s.conn.Read(woken); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return s.err
}

// event is for RawConn.Read, which calls it before it waits, when the poller has
// forgotten what happened earlier, and after each event.
func (s *Sleeper) event(uintptr) bool {
	event := s.begun
	s.begun = true
	if s.done(event) {
		return true
	}
	if s.watched && s.fetch() {
		if s.done(true) {
			return true
		}
		s.unwatch() // to be told again of what is still there
	}
	s.disarm()
	s.watch()
	return s.err != nil
}

// watch puts the socket in, which reports at once what is there already. It stays in from one
// wait for an event to the next: to fetch its events costs less than to put it in each time.
func (s *Sleeper) watch() {
	if !s.watched {
		s.watched = true
		s.fail(s.control(unix.EPOLL_CTL_ADD, s.socket, unix.EPOLLIN))
	}
}

// fetch reports whether the socket has had an event. Where an event was not fetched, the next
// one may be taken for the same, and wake nobody.
func (s *Sleeper) fetch() bool {
	n, err := RawEvents(s.epoll, s.events[:])
	return err != nil || slices.ContainsFunc(s.events[:n], func(e unix.EpollEvent) bool { return int(e.Fd) == s.socket })
}

func (s *Sleeper) unwatch() {
	if s.watched {
		s.watched = false
		s.fail(s.control(unix.EPOLL_CTL_DEL, s.socket, 0))
	}
}

// alarm is for RawConn.Read, like event.
func (s *Sleeper) alarm(uintptr) bool {
	s.unwatch()
	if s.begun || s.done(false) {
		return true
	}
	s.begun, s.set = true, true
	s.setTimer(s.startAt + int64(s.at.Sub(s.start)))
	return s.err != nil
}

// disarm has the timer, which nobody reads, not be ready any more: before Linux 5.5
// what is ready wakes whoever waits for anything else.
func (s *Sleeper) disarm() {
	if s.set {
		s.set = false
		s.setTimer(0)
	}
}

// setTimer sets it to a time of CLOCK_MONOTONIC, in nanoseconds; 0: to none.
func (s *Sleeper) setTimer(at int64) {
	s.fail(s.setTime(at))
}

func (s *Sleeper) setTime(at int64) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(at)}
	return os.NewSyscallError("timerfd_settime", unix.TimerfdSettime(s.timer, unix.TFD_TIMER_ABSTIME, &spec, nil))
}

// fail has the wait that runs end with an error, if err is one.
func (s *Sleeper) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// Close frees what it holds. It must not be called during a wait.
func (s *Sleeper) Close() error {
	var errs []error
	if s.timer >= 0 {
		errs = append(errs, os.NewSyscallError("close", unix.Close(s.timer)))
	}
	if s.file != nil {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}
