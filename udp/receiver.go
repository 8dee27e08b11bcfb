package udp

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/gso"
	"netmirror/link"
	"netmirror/sleeper"
	"netmirror/source"
	"netmirror/wire"
)

var _ source.Selecting = (*Receiver)(nil)

// Receiver takes in the datagrams of a mirror. One goroutine calls Next; Stop and Stats
// may be called from any.
type Receiver struct {
	cfg     Config
	group   *group
	sockets []*socket // one for each port, or more where they are small
	poll    int       // an epoll instance with all of them; -1: none
	sleeper *sleeper.Sleeper
	opened  time.Time

	// Next's own.
	batch   *batch // nil once closed
	frames  [][]byte
	ready   []int             // the sockets that had something when it last asked, by index
	turn    int               // the next of them
	events  []unix.EpollEvent // what it was told
	encap   wire.Encap        // of the batch
	arrived time.Time         // the batch
	got     int               // datagrams since it last waited
	waited  time.Time         // when it last began to
	paused  bool              // it looked away then
	pause   time.Duration     // how long it may look away; 0: not at all
	awake   func(bool) bool   // whether to end a wait for an event
	stopped func(bool) bool   // stopping's

	emptied  atomic.Int64 // when Next last found nothing to receive, in nanoseconds since opened
	waits    atomic.Bool  // Next has not received anything since
	stopping atomic.Bool
	stopErr  error // written before stopping is set

	mu     sync.Mutex // guards the below, and the sockets against Close
	closed bool
	room   int      // bytes of the sockets' buffers
	down   []string // the interfaces that were down when Stats last looked; never changed, but replaced
	stats  source.Stats
}

// Next waits for packets and returns the UDP payloads of a batch, at least one, in the order
// in which one of the ports received them. All have the same encapsulation. Datagrams that the
// kernel delivered as one are a payload each.
//
// The payloads and the slice are valid until the next call of Next or Close.
//
// The error is io.EOF when Stop was called and everything received before has been returned,
// link.ErrGone when an interface has been removed, and os.ErrClosed after Close. If an
// interface only goes down, Next waits for it, and Stats tells of it.
func (r *Receiver) Next() ([][]byte, error) {
	if r.batch == nil {
		return nil, os.ErrClosed
	}
	for {
		stopping := r.stopping.Load() // before the last look
		r.waits.Store(false)
		now := time.Now()
		if err := r.receive(); err != nil {
			return nil, err
		}
		if len(r.frames) > 0 {
			r.got += len(r.frames)
			return r.frames, nil
		}
		r.emptied.Store(int64(now.Sub(r.opened)))
		r.waits.Store(true)
		if stopping {
			return nil, cmp.Or(r.stopErr, io.EOF)
		}
		if err := r.wait(time.Now()); err != nil {
			return nil, err
		}
	}
}

// receive takes a batch from the sockets that have something, in turn. One ends before a
// socket of another encapsulation. It is empty only if none of the sockets had
// anything.
func (r *Receiver) receive() error {
	r.frames = r.frames[:0]
	r.arrived = time.Time{}
	r.batch.begin()
	var s source.Stats
	for asked := false; !r.batch.full(); r.turn++ {
		if r.turn == len(r.ready) {
			if asked || r.batch.received > 0 {
				break
			}
			asked = true
			if err := r.ask(); err != nil {
				return err
			}
			if len(r.ready) == 0 {
				break
			}
		}
		from, next := r.batch.received, r.sockets[r.ready[r.turn]]
		if from > 0 && next.encap != r.encap {
			break
		}
		r.encap = next.encap
		if err := r.batch.receive(next.fd); err != nil {
			return fmt.Errorf("receiving: %w", err)
		}
		if r.batch.received > from && !next.used {
			if err := r.use(next); err != nil {
				return err
			}
		}
		r.read(from, &s)
	}
	if r.batch.received == 0 {
		return nil
	}
	s.Packets, s.Frames = uint64(r.batch.received), uint64(len(r.frames))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Add(s)
	return nil
}

// ask finds the sockets that have packets. Each has its turn before it is asked again, so a
// busy one delays no other.
func (r *Receiver) ask() error {
	r.ready, r.turn = r.ready[:0], 0
	if len(r.sockets) == 1 {
		r.ready = append(r.ready, 0)
		return nil
	}
	n, err := sleeper.RawEvents(r.poll, r.events)
	if err != nil {
		return fmt.Errorf("looking for packets: %w", os.NewSyscallError("epoll_pwait", err))
	}
	for _, e := range r.events[:n] {
		r.ready = append(r.ready, int(e.Fd))
	}
	return nil
}

// read appends the datagrams received from a socket, which are all messages from from on, and
// counts them.
func (r *Receiver) read(from int, s *source.Stats) {
	for i := from; i < r.batch.received; i++ {
		data, cut := r.batch.packet(i)
		size, at := r.batch.control(i)
		if i == 0 || i == from && at.Before(r.arrived) {
			r.arrived = at
		}
		if cut {
			s.Cut++
		}
		s.Bytes += uint64(len(data))
		if size == 0 {
			r.frames = append(r.frames, data)
			continue
		}
		r.split(data, size, &s.SplitStats)
	}
}

// split appends the datagrams, of size bytes each, that data consists of.
func (r *Receiver) split(data []byte, size int, s *source.SplitStats) {
	switch n := gso.Count(r.encap, data, size); n {
	case 0:
		s.Unsplit++
	case 1:
	default:
		s.Aggregates++
		s.Datagrams += uint64(n)
		for len(data) > size {
			r.frames = append(r.frames, data[:size:size])
			data = data[size:]
		}
	}
	r.frames = append(r.frames, data)
}

// Start is the encapsulation of the batch that Next returned last. It is called by the
// goroutine of Next.
func (r *Receiver) Start() source.Start { return source.StartOf(r.encap) }

// Clock is the host's: the kernel stamps packets with it.
func (r *Receiver) Clock() source.Clock { return source.Wall }

// BatchTime is when the first packet of the batch that Next returned last arrived, by the
// kernel's wall clock. It is called by the goroutine of Next.
func (r *Receiver) BatchTime() time.Time { return r.arrived }

// More says whether another batch is waiting already, as far as the last one tells. It is
// called by the goroutine of Next.
func (r *Receiver) More() bool { return r.batch.full() || r.turn < len(r.ready) }

// handover is how long a packet may take to the socket. The kernel stamps it when it comes
// from the interface, and may queue it afterwards.
const handover = 8 * time.Millisecond

// CaughtUp is the time before which Next has returned everything that arrived, and its caller
// has called Next again. now is the current time.
func (r *Receiver) CaughtUp(now time.Time) time.Time {
	emptied := r.emptied.Load()
	up := r.opened.Add(time.Duration(emptied))
	// What came since is in a buffer, unless Next has been at work meanwhile.
	if r.waits.Load() && !r.pending() && r.waits.Load() && r.emptied.Load() == emptied {
		up = now
	}
	return up.Add(-handover)
}

// pending says whether one of the sockets may have something. It is asked often, and one
// call of the kernel tells of all of them.
func (r *Receiver) pending() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	var event [1]unix.EpollEvent
	n, err := sleeper.RawEvents(r.poll, event[:])
	return err != nil || n > 0
}

// Buffer is how much memory, in bytes, the kernel has granted for waiting packets, and the
// net.core.rmem_max that the requested amount needs.
func (r *Receiver) Buffer() (granted, sysctl int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.room, r.cfg.share(len(r.group.receivers)) / 2
}

// Stats gives the counters. After Close they are those of its moment. Drops found no room
// in the buffer, or had a wrong UDP checksum; Waiting and Room are bytes.
func (r *Receiver) Stats() source.Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lookDown()
	s := r.readKernel()
	s.Room = r.room
	if r.closed {
		s.Room = 0
	}
	s.Down = r.down
	return s
}

// lookDown finds the interfaces that nothing can arrive on: no socket is told of them. Only the
// first of several receivers looks. r.mu is held.
func (r *Receiver) lookDown() {
	var down []string
	if !r.closed && r == r.group.receivers[0] {
		for i, index := range r.group.indexes {
			if up, err := link.Up(r.sockets[0].fd, index); up || err != nil { // that it is gone ends the capture
				continue
			}
			name := r.cfg.Interfaces[i]
			down = append(down, name)
			if !slices.Contains(r.down, name) {
				r.stats.LinkDowns++
			}
		}
	}
	r.down = down
}

// readKernel adds the kernel's counters. r.mu is held.
func (r *Receiver) readKernel() source.Stats {
	waiting := 0
	if !r.closed {
		for _, s := range r.sockets {
			now, err := s.memory()
			if err != nil {
				continue // the counters stay in the kernel for the next time
			}
			waiting += now.used
			if !r.stopping.Load() { // from then on, what is dropped is not wanted
				n := s.dropped(now)
				r.stats.Packets += n
				r.stats.Drops += n
			}
		}
	}
	s := r.stats
	s.Waiting = waiting
	return s
}

// Stop ends the capture of the Receiver and of those that it shares packets with. Packets that
// arrive later are not received. Stop wakes Next, which returns io.EOF after the last packet
// that was received.
func (r *Receiver) Stop() { r.group.stop() }

// stop is Stop for this Receiver alone.
func (r *Receiver) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.stopping.Load() {
		return
	}
	r.readKernel()
	for _, s := range r.sockets {
		r.stopErr = errors.Join(r.stopErr, s.stop())
	}
	r.stopping.Store(true)
	if r.sleeper != nil {
		r.sleeper.Interrupt()
	}
}

// Close ends the capture at once and frees its memory. It stops the Receivers that it shares
// packets with; the last Close of them also frees the ports. It must not be called while Next
// runs or a datagram is in use. Further calls do nothing.
func (r *Receiver) Close() error {
	r.group.stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	var errs []error
	if r.sleeper != nil {
		errs = append(errs, r.sleeper.Close())
	}
	if r.batch != nil {
		errs = append(errs, r.batch.close())
		r.batch = nil
	}
	if r.poll >= 0 {
		errs = append(errs, os.NewSyscallError("close", unix.Close(r.poll)))
	}
	for _, s := range r.sockets {
		errs = append(errs, s.close())
	}
	return errors.Join(append(errs, r.group.closed())...)
}
