// Package sleeper keeps the cost of Go's scheduler below that of the work. It reads no socket,
// and knows no packet.
//
// A mirror's packets come in small batches, a thousand times a second. One batch takes some
// tens of microseconds. Go's scheduler is made for other loads: it wakes threads early, so that
// no work waits. At this rate, waking costs more than the work. Each of these remedies saves a
// tenth to a half of the processor time at some load (docs/performance.md has the figures):
//
//   - Raw system calls (raw.go). An ordinary system call tells the runtime that the thread may
//     block. In a process that was idle, that wakes the runtime's watchdog thread, which then
//     sleeps in steps of 20 µs. A call that never blocks need not tell the runtime.
//   - [Sleeper]: one wait for a socket, or for a time, in Go's poller. A thread that blocks in
//     poll(2) loses its processor to another thread, and has to get one back: beside working
//     goroutines that took twice the processor time. A Go timer wakes the watchdog thread as
//     well, so the time is a timerfd. While only the time is waited for, the socket is out of the
//     poller, so that packets wake nobody.
//   - [Pacer]: while blocks arrive densely, the readers of all rings look every two or
//     three block timeouts, and one timer wakes them all.
//   - [Processors]: the process runs on one core while that is enough. Go wakes an idle core for
//     everything that becomes ready to run, which on one core wakes nobody.
package sleeper
