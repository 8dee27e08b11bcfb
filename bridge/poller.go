package bridge

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/sleeper"
)

// poller reports the events of a loop's sockets, and its next alarm. It has two epoll
// instances, one inside the other. The runtime's poller waits for the outer one like for any
// file, so no thread blocks, and the loop fetches the events of all sockets at once. The
// inner one has the sockets. It is removed from the outer one while nobody needs to be woken
// for them.
type poller struct {
	gate, epoll, timer int
	file               *os.File        // owns gate
	conn               syscall.RawConn // of file
	open               bool            // gate tells of epoll
	heard              [256]unix.EpollEvent

	slots []slot // by the number in an event
	free  []int32
	used  []usedSocket // the one kept last is the last

	begun   time.Time // what the loop's time counts from
	begunAt int64     // and what CLOCK_MONOTONIC was, in nanoseconds
	alarm   int64     // when the timer goes off or went off, in the loop's time
}

// slot holds the stream of a socket. turn changes when the slot is reused, so that an event
// of a socket that was closed meanwhile is recognized.
type slot struct {
	s    *stream
	turn int32
}

func newPoller() (*poller, error) {
	p := &poller{gate: -1, epoll: -1, timer: -1}
	if err := p.start(); err != nil {
		p.close()
		return nil, fmt.Errorf("bridge: waiting for sockets: %w", err)
	}
	return p, nil
}

func (p *poller) start() (err error) {
	if p.gate, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	err = unix.SetNonblock(p.gate, true) // which has NewFile try the runtime's poller
	p.file = os.NewFile(uintptr(p.gate), "epoll")
	if err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if p.conn, err = p.file.SyscallConn(); err != nil {
		return err
	}
	// Fails where the runtime's poller did not take it.
	if err := p.file.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if p.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return os.NewSyscallError("timerfd_create", err)
	}
	for _, fd := range []int{p.timer, p.epoll} {
		if err := sleeper.RawControl(p.gate, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | edge}); err != nil {
			return os.NewSyscallError("epoll_ctl", err)
		}
	}
	p.open = true
	var now unix.Timespec
	p.begun = time.Now()
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return os.NewSyscallError("clock_gettime", err)
	}
	p.begunAt = now.Nano()
	return nil
}

// close ends watch too.
func (p *poller) close() {
	p.discardUsed()
	for _, fd := range []int{p.epoll, p.timer} {
		if fd >= 0 {
			sleeper.RawClose(fd)
		}
	}
	if p.file != nil {
		p.file.Close()
	}
}

// now is the loop's time: nanoseconds since begun.
func (p *poller) now() int64 { return int64(time.Since(p.begun)) }

// watch calls signal whenever there is something to fetch, until close. The runtime's
// poller is edge-triggered: it reports each event, whether the loop has fetched it or not.
func (p *poller) watch(signal func()) {
	_ = p.conn.Read(func(uintptr) bool { // fails at close
		if sleeper.RawReady(p.gate, unix.POLLIN) {
			signal()
		}
		return false
	})
}

// wake switches on or off whether events of the sockets call signal. fetch is true if that
// was just switched on: the caller must then fetch the events that have happened so far.
func (p *poller) wake(open bool) (fetch bool) {
	if p.open == open {
		return false
	}
	p.open = open
	e := unix.EpollEvent{Events: edge}
	if open {
		e.Events |= unix.EPOLLIN
	}
	// It cannot fail: both descriptors are this poller's.
	_ = sleeper.RawControl(p.gate, unix.EPOLL_CTL_MOD, p.epoll, &e)
	return open
}

// edge is EPOLLET, which x/sys has as a negative number.
const edge = 1 << 31

// add reports the given events of fd to s, and always errors and the end of both sides. It
// returns the place to remove when fd is closed.
func (p *poller) add(s *stream, fd int, events uint32) (place int32, err error) {
	place = int32(len(p.slots))
	if n := len(p.free); n > 0 {
		place, p.free = p.free[n-1], p.free[:n-1]
	} else {
		p.slots = append(p.slots, slot{})
	}
	p.slots[place].s = s
	e := unix.EpollEvent{Events: events | edge, Fd: place, Pad: p.slots[place].turn}
	if err := sleeper.RawControl(p.epoll, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		p.remove(place)
		return 0, os.NewSyscallError("epoll_ctl", err)
	}
	return place, nil
}

// forget takes back an add: fd stays open.
func (p *poller) forget(place int32, fd int) {
	p.remove(place)
	_ = sleeper.RawControl(p.epoll, unix.EPOLL_CTL_DEL, fd, nil) // it is there
}

func (p *poller) remove(place int32) {
	p.slots[place].s = nil
	p.slots[place].turn++
	p.free = append(p.free, place)
}

// fetch reports the events so far to their streams. Later events are left for the next call.
func (p *poller) fetch() {
	for range len(p.slots)/len(p.heard) + 1 {
		n, err := sleeper.RawEvents(p.epoll, p.heard[:])
		if err != nil {
			return // of a signal: the next time is soon
		}
		for i := range p.heard[:n] {
			e := &p.heard[i]
			if at := p.slots[e.Fd]; at.s != nil && at.turn == e.Pad {
				at.s.event(eventsOf(e.Events))
			}
		}
		if n < len(p.heard) {
			return
		}
	}
}

func eventsOf(e uint32) (ev events) {
	if e&unix.EPOLLOUT != 0 {
		ev |= evRoom
	}
	if e&unix.EPOLLIN != 0 {
		ev |= evAnswer
	}
	if e&unix.EPOLLRDHUP != 0 {
		ev |= evAnswer | evFIN
	}
	if e&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		ev |= evAnswer | evOver
	}
	return ev
}

// tooSoon is how much too soon an alarm may go off: to wake up in vain costs more than to set it
// anew, but not than to set it each time.
const tooSoon = latest / 2

// wakeAt makes watch call signal at a time, unless something does before. An alarm that was set
// before goes off all the same if it is not much sooner.
func (p *poller) wakeAt(at, now int64) {
	if p.alarm > now && p.alarm <= at && at-p.alarm < int64(tooSoon) {
		return
	}
	p.alarm = max(at, 1)
	// It cannot fail: the descriptor is a timer and the time is none too large.
	_ = sleeper.RawAlarm(p.timer, p.begunAt+p.alarm)
}
