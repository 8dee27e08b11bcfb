package udp

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/link"
	"netmirror/service"
	"netmirror/sleeper"
	"netmirror/wire"
)

// group is the receivers of a mirror, one or several.
type group struct {
	receivers []*Receiver
	others    []*socket // one for each port, for what is not wanted
	shares    []share   // one for each port
	indexes   []int     // of the interfaces; none stands for all
	open      atomic.Int32
}

// share is how the datagrams of a port are shared among sockets.
type share struct {
	first   *socket    // of the first receiver
	encap   wire.Encap // of what comes to the port
	sockets int        // that are for what is wanted
}

// Open starts receiving, in the network namespace of the calling thread. It needs
// CAP_NET_BIND_SERVICE for a port below 1024, and nothing else.
//
// The errors to test for are link.ErrNone, link.ErrDown, ErrInUse, ErrNotUDP and ErrPermission.
func Open(cfg Config) (*Receiver, error) {
	all, err := OpenGroup(cfg, 1)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// OpenGroup is Open for n receivers, 1 to 256, that share the mirror's packets. Exactly one
// receives each packet. All packets of a mirrored TCP connection, in both directions, go to
// the receiver that filter.FlowHash tells, and packets without such a hash to receiver 0.
// Datagrams that the kernel delivers as one all go where the first belongs. Each receiver has
// its own goroutine for Next and its own Stats.
//
// Stop on any receiver stops all. Each receiver must be closed. Closing one that was not
// stopped stops the others.
func OpenGroup(cfg Config, n int) ([]*Receiver, error) {
	if n < 1 || n > maxReceivers {
		return nil, fmt.Errorf("%d receivers: must be 1 to %d", n, maxReceivers)
	}
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	g := new(group)
	for _, name := range cfg.Interfaces {
		ifi, err := link.Find(name)
		if err != nil {
			return nil, err
		}
		g.indexes = append(g.indexes, ifi.Index)
	}
	if err := g.setUp(cfg, n); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return slices.Clone(g.receivers), nil
}

// setUp opens the sockets of every port and then the receivers, which share them out.
func (g *group) setUp(cfg Config, n int) error {
	for range n {
		g.receivers = append(g.receivers, &Receiver{cfg: cfg, group: g, poll: -1, opened: time.Now()})
		g.open.Add(1)
	}
	for _, port := range cfg.ports() {
		if err := g.listen(cfg, port); err != nil {
			return err
		}
	}
	for _, r := range g.receivers {
		if err := r.setUp(); err != nil {
			return err
		}
	}
	for _, r := range g.receivers {
		for _, s := range r.sockets {
			if err := s.start(); err != nil {
				return fmt.Errorf("starting to receive: %w", err)
			}
		}
	}
	return nil
}

// listen binds the sockets of a port. Where the host has no IPv6, they are of IPv4.
func (g *group) listen(cfg Config, port wire.UDPPort) error {
	err := g.bindAll(cfg, port, unix.AF_INET6)
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
		err = g.bindAll(cfg, port, unix.AF_INET)
	}
	return cfg.bindError(port, err)
}

// MaxSpread is how many sockets a receiver may have for a port, if the kernel grants one socket
// less memory than wanted.
const MaxSpread = 16

// bindAll binds sockets to the port for each receiver, and one for what is not wanted,
// which takes nothing in. The kernel numbers them in that order; as the program takes a
// hash modulo that of all, each receiver has what the hash modulo theirs says.
func (g *group) bindAll(cfg Config, port wire.UDPPort, family int) error {
	n := len(g.receivers)
	first, err := g.bind(cfg, port, family, g.receivers[0], true)
	if err != nil {
		return err
	}
	spread, err := cfg.spread(first, n)
	if err != nil {
		return err
	}
	all := n * spread
	for i := 1; i < all; i++ {
		if _, err := g.bind(cfg, port, family, g.receivers[i%n], false); err != nil {
			return err
		}
	}
	if _, err := g.bind(cfg, port, family, nil, false); err != nil {
		return err
	}
	if err := g.growAll(port.Port, cfg.share(n)/spread); err != nil {
		return err
	}
	g.shares = append(g.shares, share{first, port.Encap, all})
	return first.share(cfg.program(port.Encap, all, g.indexes))
}

// spread is how many sockets one of n receivers needs for a port, to have all of the memory
// that the port may come to have. first is a socket of the port.
func (c Config) spread(first *socket, n int) (int, error) {
	granted, err := first.memory()
	if err != nil {
		return 0, err
	}
	enough := granted.size >= c.share(n)*9/10
	if enough && len(c.ports()) == 1 {
		return 1, nil
	}
	if enough { // the port may come to have that of the others
		if err := first.grow(c.Bytes / n); err != nil {
			return 0, err
		}
		if granted, err = first.memory(); err != nil {
			return 0, err
		}
	}
	return min(max(c.Bytes/n/max(granted.size, 1), 1), MaxSpread), nil
}

// growAll asks for so many bytes of memory for each socket of a port.
func (g *group) growAll(port uint16, bytes int) error {
	for _, r := range g.receivers {
		for _, s := range r.sockets {
			if s.port != port {
				continue
			}
			if err := s.grow(bytes); err != nil {
				return err
			}
		}
	}
	return nil
}

// Select, on the first receiver of the group, changes Config.VNIs and Config.InnerPorts of all
// receivers. On another one it does nothing. The kernel replaces the program between two
// packets (SO_ATTACH_REUSEPORT_CBPF, socket(7)).
func (r *Receiver) Select(s service.Selection) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r != r.group.receivers[0] || r.closed || r.stopping.Load() {
		return nil
	}
	c := r.cfg
	c.VNIs, c.InnerPorts = s.VNIs, s.Ports
	for _, of := range r.group.shares {
		if err := of.first.share(c.program(of.encap, of.sockets, r.group.indexes)); err != nil {
			return err
		}
	}
	return nil
}

// share is how much memory one of n receivers has for a port, in bytes.
func (c Config) share(n int) int { return c.Bytes / n / len(c.ports()) }

// bind binds a socket, which takes nothing in yet, for a receiver; nil: for none.
func (g *group) bind(cfg Config, port wire.UDPPort, family int, r *Receiver, first bool) (*socket, error) {
	device := ""
	if len(cfg.Interfaces) == 1 {
		device = cfg.Interfaces[0]
	}
	s, err := newSocket(family, device, port.Encap)
	if err != nil {
		return nil, err
	}
	if err := s.bind(family, port.Port, first); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.port = port.Port
	if r == nil {
		g.others = append(g.others, s)
		return s, s.grow(0) // the kernel raises it to its minimum
	}
	r.sockets = append(r.sockets, s)
	return s, s.grow(cfg.share(len(g.receivers)))
}

// setUp makes what a receiver with sockets needs to read them.
func (r *Receiver) setUp() error {
	var err error
	if r.poll, err = pollOf(r.sockets); err != nil {
		return err
	}
	if r.sleeper, err = sleeper.New(r.poll); err != nil {
		return err
	}
	if r.batch, err = newBatch(); err != nil {
		return err
	}
	for _, s := range r.sockets {
		now, err := s.memory()
		if err != nil {
			return err
		}
		r.room += now.size
	}
	r.events = make([]unix.EpollEvent, len(r.sockets))
	r.pause = r.cfg.pause(r.room, r.room/len(r.sockets))
	r.awake = func(event bool) bool { return event || r.stopping.Load() }
	r.stopped = func(bool) bool { return r.stopping.Load() }
	return nil
}

// pollOf gives an epoll instance with all of the sockets, whose events have their index.
func pollOf(sockets []*socket) (fd int, err error) {
	fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("waiting on sockets: %w", err)
	}
	for i, s := range sockets {
		if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}); err != nil {
			return -1, errors.Join(fmt.Errorf("waiting on sockets: %w", err), unix.Close(fd))
		}
	}
	return fd, nil
}

const (
	// fastest is more than comes in during a pause, in bytes a second: 20 Gbit/s.
	fastest = 2_500_000_000
	// fastestOne is more than comes in for one socket of several: 5 Gbit/s, which is as
	// much as clouds let one flow have.
	fastestOne = fastest / 4
	// shortest is a pause that spares more than it takes.
	shortest = 50 * time.Microsecond
)

// pause is how long a reader may look away from sockets with buffers of so many bytes, and
// of so many each, without filling a quarter of them; packets take twice what is in
// them. 0: not at all.
func (c Config) pause(all, each int) time.Duration {
	bytes := min(float64(all)/fastest, float64(each)/fastestOne)
	if pause := min(2*c.Wait, time.Duration(bytes/8*float64(time.Second))); c.BusyPoll == 0 && pause >= shortest {
		return pause
	}
	return 0
}

// stop stops every receiver.
func (g *group) stop() {
	for _, r := range g.receivers {
		r.stop()
	}
}

// close closes every receiver.
func (g *group) close() error {
	var errs []error
	for _, r := range g.receivers {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

// closed is called once for each receiver that was closed. The last call frees what they
// share.
func (g *group) closed() error {
	var errs []error
	if g.open.Add(-1) == 0 {
		for _, s := range g.others {
			errs = append(errs, s.close())
		}
	}
	return errors.Join(errs...)
}
