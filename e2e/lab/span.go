package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Span is a mirror with an encapsulation for which the kernel has no device. Like a
// switch, it sends each frame of Srv's client link as it is on the wire.
type Span struct {
	Port uint16                    // UDP destination port; 0: not over UDP
	GRE  bool                      // IP protocol 47; without a port either, the frames are sent bare
	Wrap func(frame []byte) []byte // returns what is sent; nil: the frame itself
}

// span is a running Span.
type span struct {
	Span
	frames *os.File
	out    interface {
		Write([]byte) (int, error)
		Close() error
	}
	copied atomic.Int64  // frames that were sent
	done   chan struct{} // closed at its end
	err    error         // that ended it; read it after done
}

// startSpan starts the lab's Span.
func (l *Lab) startSpan() error {
	s := &span{Span: *l.opts.Span, done: make(chan struct{})}
	for _, n := range []*Namespace{l.Cli, l.Srv} { // otherwise frames are segmented after the mirror
		if err := n.setOffloads(ClientLink, l.opts.Offloads); err != nil {
			return err
		}
	}
	dir := Incoming
	if l.opts.BothDirections {
		dir = Both
	}
	fd := -1
	err := l.Srv.Do(func() (err error) {
		fd, err = openPacketSocket(ClientLink, dir)
		return err
	})
	if err != nil {
		return fmt.Errorf("lab: span: %w", err)
	}
	s.frames = os.NewFile(uintptr(fd), "span")
	if err := l.Srv.Do(func() error { return s.open(l) }); err != nil {
		return errors.Join(fmt.Errorf("lab: span: %w", err), s.frames.Close())
	}
	l.span = s
	go s.copy()
	return nil
}

// open opens the socket that sends the copies.
func (s *span) open(l *Lab) (err error) {
	to := net.IP(l.Tap().Addr().AsSlice())
	switch {
	case s.Port != 0:
		s.out, err = net.DialUDP("udp", nil, &net.UDPAddr{IP: to, Port: int(s.Port)})
	case s.GRE:
		network := "ip4:47"
		if l.opts.OuterIPv6 {
			network = "ip6:47"
		}
		s.out, err = net.DialIP(network, nil, &net.IPAddr{IP: to})
	default:
		var fd int
		fd, err = openPacketSocket(MirrorLink, Outgoing)
		s.out = os.NewFile(uintptr(fd), "span out")
	}
	return err
}

func (s *span) copy() {
	defer close(s.done)
	buf := make([]byte, 1<<17)
	for {
		n, err := s.frames.Read(buf)
		switch {
		case errors.Is(err, unix.ENETDOWN):
			continue
		case errors.Is(err, os.ErrClosed):
			return
		case err != nil:
			s.err = err
			return
		}
		frame := buf[:n]
		if s.Wrap != nil {
			frame = s.Wrap(frame)
		}
		if err := s.send(frame); err != nil {
			s.err = err
			return
		}
		s.copied.Add(1)
	}
}

// Mirrored returns once the mirror has sent what was to be mirrored so far. Only a Span takes
// its time; it must be called once at the most.
func (l *Lab) Mirrored(ctx context.Context) error {
	s := l.span
	if s == nil {
		return nil
	}
	raw, err := s.frames.SyscallConn()
	if err != nil {
		return fmt.Errorf("lab: span: %w", err)
	}
	var stats *unix.TpacketStats // since the socket was opened
	if e := raw.Control(func(fd uintptr) {
		stats, err = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
	}); e != nil || err != nil {
		return fmt.Errorf("lab: span: %w", errors.Join(e, err))
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.copied.Load() < int64(stats.Packets-stats.Drops) {
		select {
		case <-tick.C:
		case <-s.done:
			return errors.New("lab: span: it has ended")
		case <-ctx.Done():
			return fmt.Errorf("lab: span: %w", ctx.Err())
		}
	}
	return nil
}

// send sends a copy. If nobody received an earlier copy, the kernel reports that now, and
// send tries again.
func (s *span) send(frame []byte) error {
	for {
		_, err := s.out.Write(frame)
		if !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.ENOPROTOOPT) && !errors.Is(err, unix.EPROTO) {
			return err
		}
	}
}

// stop ends the Span.
func (s *span) stop() error {
	err := s.frames.Close()
	<-s.done
	return errors.Join(err, s.out.Close(), s.err)
}
