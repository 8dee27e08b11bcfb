package tap

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"netmirror/filter"
	"netmirror/link"
	"netmirror/sleeper"
)

// maxRings is how many sockets share packets unless the kernel is asked for more
// (PACKET_FANOUT_MAX once, now the default of max_num_members).
const maxRings = 256

// group is the rings of a capture, one or several, and what they have in common.
type group struct {
	rings []*Ring
	spare *queue // for what finds no room in them; nil: there is none
	held  holder
	pacer sleeper.Pacer
	open  atomic.Int32 // rings that are not closed; the last gives what is held back
	index int          // of the interface; 0: all are captured on

	// Of the reader of a single ring.
	astray bool   // packets go to the spare ring
	led    uint64 // how many had gone there when the kernel was led back last
}

// OpenGroup is Open for n rings, 1 to 256, that share the packets of the interface
// (PACKET_FANOUT, packet(7)). Each packet is in exactly one ring. All packets of a mirrored
// TCP connection, in both directions, are in the ring that filter.FlowHash tells. Ring 0 has
// the packets that have no such hash. Each ring has its own goroutine for Next and its own
// Stats.
//
// cfg.RingBytes is for all rings together; each has at least two blocks. cfg.FragmentBytes is
// for each ring, but only ring 0, which has the outer fragments, uses it.
//
// Stop on any ring stops all. Each ring must be closed. Closing a ring that was not stopped
// stops the others, because the kernel would distribute its flows among them.
func OpenGroup(cfg Config, n int) ([]*Ring, error) {
	if n < 1 || n > maxRings {
		return nil, fmt.Errorf("%d rings: must be 1 to %d", n, maxRings)
	}
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	ifi := &net.Interface{Name: AnyInterface} // index 0 is all
	if cfg.Interface != AnyInterface {
		if ifi, err = link.Find(cfg.Interface); err != nil {
			return nil, err
		}
	}
	g := &group{index: ifi.Index}
	cfg = cfg.share(n)
	g.pacer.Pauses = cfg.paced()
	if err := g.setUp(cfg, ifi, n); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return slices.Clone(g.rings), nil
}

// setUp makes the rings and starts them.
func (g *group) setUp(cfg Config, ifi *net.Interface, n int) error {
	if err := g.openAll(cfg, ifi, n); err != nil {
		return err
	}
	var err error
	if g.held, err = hold(cfg.Mirror); err != nil {
		return err
	}
	if g.shared() {
		return g.fanOut(cfg, ifi)
	}
	if err := filter.Attach(g.rings[0].fd, cfg.program(false)); err != nil {
		return err
	}
	return g.rings[0].bind(ifi)
}

// openAll makes the rings. The kernel numbers the sockets of a group in the order of their
// creation, and looks for room in that order.
func (g *group) openAll(cfg Config, ifi *net.Interface, n int) error {
	if n > 1 {
		if err := g.openSpare(cfg); err != nil {
			return err
		}
	}
	for range n {
		r, err := g.newRing(cfg)
		if err != nil {
			return err
		}
		if err := r.setUp(ifi); err != nil {
			return err
		}
	}
	if n == 1 {
		return g.openSpare(cfg)
	}
	return nil
}

// shared says whether several sockets share the packets.
func (g *group) shared() bool { return len(g.rings) > 1 || g.spare != nil }

// queues are all that share the packets, in the order of their sockets' creation.
func (g *group) queues() (all []*queue) {
	if g.alone() {
		return []*queue{&g.rings[0].queue, g.spare}
	}
	if g.spare != nil {
		all = append(all, g.spare)
	}
	for _, r := range g.rings {
		all = append(all, &r.queue)
	}
	return all
}

// fanOut starts rings that share packets. The kernel lets a socket join only when
// it is bound, so that for a moment each would have every packet, and later ring 0
// all of them, until the group has its program: they take nothing in before all is
// in place.
func (g *group) fanOut(cfg Config, ifi *net.Interface) error {
	if err := g.join(ifi); err != nil {
		return err
	}
	if !g.alone() {
		if err := g.distribute(cfg); err != nil {
			return err
		}
	}
	for _, q := range g.queues() {
		if err := filter.Attach(q.fd, cfg.program(true)); err != nil {
			return err
		}
	}
	return nil
}

// distribute gives the group its program.
func (g *group) distribute(cfg Config) error {
	share := filter.Fanout(cfg.Mirror)
	if g.spare != nil {
		share = filter.FanoutBehind(cfg.Mirror, len(g.rings))
	}
	prog, err := filter.Assemble(share)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptSockFprog(g.rings[0].fd, unix.SOL_PACKET, unix.PACKET_FANOUT_DATA, prog); err != nil {
		return fmt.Errorf("attaching the program that shares packets: %w", err)
	}
	return nil
}

// kind is how the kernel shares the packets.
func (g *group) kind() int {
	switch {
	case g.alone():
		return unix.PACKET_FANOUT_ROLLOVER
	case g.spare != nil:
		return unix.PACKET_FANOUT_CBPF | unix.PACKET_FANOUT_FLAG_ROLLOVER
	}
	return unix.PACKET_FANOUT_CBPF
}

// join binds the sockets, which take nothing in yet, and makes them a group. The
// kernel numbers them as they join; when the interface comes up again, in the
// order of their creation, which is the same.
func (g *group) join(ifi *net.Interface) error {
	// The sockets of a group have one hook between them, which does not know of
	// their PACKET_IGNORE_OUTGOING. Linux before 6.2 passes over the flag.
	request := (g.kind() | unix.PACKET_FANOUT_FLAG_UNIQUEID | unix.PACKET_FANOUT_FLAG_IGNORE_OUTGOING) << 16
	for i, q := range g.queues() {
		if err := filter.Attach(q.fd, filter.DropAll); err != nil {
			return err
		}
		if err := q.bind(ifi); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(q.fd, unix.SOL_PACKET, unix.PACKET_FANOUT, request); err != nil {
			return fmt.Errorf("sharing packets among sockets: %w", err)
		}
		if i > 0 {
			continue
		}
		// The number that the kernel has chosen, with type and flags in the
		// upper half, as the others have to ask for it.
		var err error
		if request, err = unix.GetsockoptInt(q.fd, unix.SOL_PACKET, unix.PACKET_FANOUT); err != nil {
			return fmt.Errorf("sharing packets among sockets: %w", err)
		}
	}
	return nil
}

// stop stops every ring.
func (g *group) stop() {
	for _, r := range g.rings {
		r.stop()
	}
}

// close closes every ring.
func (g *group) close() error {
	var errs []error
	for _, r := range g.rings {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

// closed is told of each ring that was closed.
func (g *group) closed() {
	if g.open.Add(-1) > 0 {
		return
	}
	g.held.close()
	if g.spare != nil {
		g.spare.close()
	}
}
