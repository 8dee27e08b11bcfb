package tap

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/bpf"

	"netmirror/defrag"
	"netmirror/filter"
	"netmirror/service"
	"netmirror/sleeper"
	"netmirror/source"
)

// handover is how much later than asked for the kernel may close a block: older ones
// count in jiffies, mostly of 4 ms.
const handover = 8 * time.Millisecond

var _ source.Selecting = (*Ring)(nil)

// Ring is a running capture. One goroutine calls Next; Stop and Stats may be
// called from any.
type Ring struct {
	cfg   Config
	group *group
	queue
	sleeper *sleeper.Sleeper

	// Next's own.
	from       *queue // whose current block is in the reader's hands; nil: none
	frames     [][]byte
	splitter   splitter
	fragments  *defrag.Reassembler
	batchTime  time.Time
	taken      uint64          // packets in the blocks read so far
	batches    uint64          // blocks read so far
	awake      func(bool) bool // r.awakened, made once
	sleepErr   error           // what awakened found
	gone       error           // the interface is; ends the capture
	drainUntil time.Time       // set by the first wait for the last block
	late       bool            // drainUntil has passed: what is in the spare ring is not waited for
	watching   time.Time       // until when the reader looks for packets in the spare ring

	paced    *sleeper.Paced // Next, for the group's pacer
	opened   time.Time      // when the ring was
	emptied  atomic.Int64   // when Next last found nothing to read, in nanoseconds since opened
	linkDown atomic.Bool    // set by Next
	stopping atomic.Bool
	stopErr  error // written before stopping is set

	mu        sync.Mutex // guards the below, and fd against Close
	closed    bool
	unplugged bool // the interface has no carrier, or was found down before Next heard of it
	stats     Stats
}

// Next waits for packets and returns the Ethernet frames of a batch, at least one, in the
// order of capture. A reassembled frame takes the place of its last fragment. Datagrams that
// were captured in one packet are a frame each. The kernel has removed the outermost VLAN
// tag.
//
// The frames, which may be written to, and the slice are valid until the next
// call of Next or Close.
//
// The error is io.EOF when Stop was called and everything captured before has been returned,
// link.ErrGone when the interface has been removed, and os.ErrClosed after Close. If the
// interface only goes down, Next waits for it and counts that in Stats.LinkDowns.
func (r *Ring) Next() ([][]byte, error) {
	if r.mem == nil {
		return nil, os.ErrClosed
	}
	r.release()
	for {
		if block := r.take(); block != nil {
			if frames := r.read(block); len(frames) > 0 {
				return frames, nil
			}
			r.release()
			continue
		}
		if err := r.wait(); err != nil {
			r.fragments.Flush()
			r.publish(walker{}, nil)
			return nil, err
		}
	}
}

// Stop ends the capture of the Ring and of those that it shares packets with. Packets that
// arrive later are not captured. Stop wakes Next, which returns io.EOF after the last packet
// that was captured.
func (r *Ring) Stop() { r.group.stop() }

// stop is Stop for this Ring alone.
func (r *Ring) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.stopping.Load() {
		return
	}
	r.stopErr = r.attach(filter.DropAll)
	r.stopping.Store(true)
	r.sleeper.Interrupt()
	r.paced.CallBack()
}

// Select changes Config.VNIs and Config.InnerPorts of this Ring, not of those that it shares
// packets with. The kernel replaces the program between two packets (SO_ATTACH_FILTER,
// socket(7)).
func (r *Ring) Select(s service.Selection) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.stopping.Load() {
		return nil
	}
	c := r.cfg
	c.VNIs, c.InnerPorts = s.VNIs, s.Ports
	return r.attach(c.program(r.group.shared()))
}

// attach makes prog the filter of the Ring's sockets.
func (r *Ring) attach(prog []bpf.Instruction) error {
	err := filter.Attach(r.fd, prog)
	if s := r.spare(); s != nil {
		err = errors.Join(err, filter.Attach(s.fd, prog))
	}
	return err
}

// release gives the block that is in the reader's hands, if any, back to the kernel.
func (r *Ring) release() {
	q := r.from
	if q == nil {
		return
	}
	low := q == r.spare() && q.low()
	q.release()
	if low {
		q.look()
	}
	r.from = nil
}

// Close ends the capture at once and frees its memory. It stops the Rings that it shares
// packets with; the last Close of them also frees the ports. It must not be called while Next
// runs or a frame is in use. Further calls do nothing.
func (r *Ring) Close() error {
	r.group.stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.readKernel()
	r.closed = true
	r.group.closed()
	return errors.Join(append(r.queue.close(), r.sleeper.Close())...)
}

// Start is Ethernet.
func (r *Ring) Start() source.Start { return source.Ethernet }

// Clock is the host's: the kernel stamps packets with it.
func (r *Ring) Clock() source.Clock { return source.Wall }

// BatchTime is when the first packet of the batch that Next returned last was
// captured, by the kernel's wall clock. It is called by the goroutine of Next.
func (r *Ring) BatchTime() time.Time { return r.batchTime }

// More says whether another batch is waiting already. It is called by the goroutine
// of Next.
func (r *Ring) More() bool {
	if r.from != &r.queue {
		return r.ready()
	}
	return r.more()
}

// backlog is how many blocks of the ring wait for the reader, or are in its hands, and how
// many there are. r.mu is held.
func (r *Ring) backlog() (waiting, blocks int) {
	if r.closed {
		return 0, 0
	}
	waiting, blocks = r.waiting(), r.blocks
	if s := r.spare(); s != nil {
		waiting, blocks = waiting+s.waiting(), blocks+s.blocks
	}
	return waiting, blocks
}

// CaughtUp is the time before which all that was captured has been returned by
// Next, and was done with when Next was called again. now is the time.
func (r *Ring) CaughtUp(now time.Time) time.Time {
	if r.behind() {
		now = r.opened.Add(time.Duration(r.emptied.Load()))
	}
	return now.Add(-handover - 2*r.cfg.BlockTimeout)
}

// behind says whether something waits for Next, or is in its hands.
func (r *Ring) behind() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting, _ := r.backlog()
	return waiting > 0 || !r.closed && r.spare() != nil && r.group.overflowing()
}

// read gives the frames of a block, split or reassembled where need be.
func (r *Ring) read(block []byte) [][]byte {
	r.frames = r.frames[:0]
	r.fragments.Begin()
	r.splitter.begin()
	w := walk(block, r.from.offloads)
	r.taken += uint64(w.left)
	r.batchTime = w.time()
	if r.from == &r.queue {
		r.group.pacer.Block(r.batchTime, time.Now())
	} else {
		r.countSpared(w.left)
	}
	bare := r.cfg.Mirror.Bare()
	for frame, ok := w.next(); ok; frame, ok = w.next() {
		if h := w.offload; h != nil && h.aggregated() {
			r.frames = r.splitter.split(r.frames, frame, h)
			continue
		}
		// Without an encapsulation a fragment is a mirrored packet's.
		if !bare && !defrag.Unfragmented(frame) {
			if frame = r.fragments.Frame(frame); frame == nil {
				continue
			}
		}
		r.frames = append(r.frames, frame)
	}
	r.publish(w, r.frames)
	return r.frames
}
