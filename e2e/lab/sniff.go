package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Direction selects the packets of a Sniffer, as seen from its namespace.
type Direction int

const (
	Incoming Direction = iota
	Outgoing
	Both
)

// sniffBuffer is the sniffer's receive buffer in bytes: a whole self-test's
// traffic, for Go may be slower than the kernel.
const sniffBuffer = 256 << 20

// Sniffer keeps every packet of one direction on a link.
type Sniffer struct {
	file *os.File
	done chan struct{} // closed when the reader has returned

	mu      sync.Mutex // guards the fields below
	packets [][]byte
	err     error
	changed chan struct{} // closed, and replaced, with each packet
}

// Sniff starts to capture on a link, named as inside the namespace. The
// caller owns the Sniffer and ends it with Close.
func (n *Namespace) Sniff(link string, dir Direction) (*Sniffer, error) {
	fd := -1
	err := n.Do(func() (err error) {
		fd, err = openPacketSocket(link, dir)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("lab: sniff on %s in %s: %w", link, n.label, err)
	}
	s := &Sniffer{
		file:    os.NewFile(uintptr(fd), "packet:"+link),
		done:    make(chan struct{}),
		changed: make(chan struct{}),
	}
	go s.read()
	return s, nil
}

// openPacketSocket returns a bound packet socket. It binds the socket last, so that no
// packet comes in before the filter is there.
func openPacketSocket(link string, dir Direction) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	// Only the host's own root may go beyond net.core.rmem_max.
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, sniffBuffer)
	if errors.Is(err, unix.EPERM) {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, sniffBuffer)
	}
	if err != nil {
		return -1, err
	}
	if err := onlyDirection(fd, dir); err != nil {
		return -1, err
	}
	ifi, err := net.InterfaceByName(link)
	if err != nil {
		return -1, err
	}
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8&0xff00 // network order
	return fd, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifi.Index})
}

// onlyDirection makes the kernel drop the other direction by the packet type
// (linux/filter.h, SKF_AD_PKTTYPE), so it takes no room in the buffer.
func onlyDirection(fd int, dir Direction) error {
	if dir == Both {
		return nil
	}
	pass, drop := uint32(0), uint32(1<<18)
	if dir == Outgoing {
		pass, drop = drop, pass
	}
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OUTGOING, SkipFalse: 1},
		bpf.RetConstant{Val: pass},
		bpf.RetConstant{Val: drop},
	})
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

func (s *Sniffer) read() {
	defer close(s.done)
	raw, err := s.file.SyscallConn()
	if err != nil {
		s.fail(err)
		return
	}
	buf := make([]byte, 1<<18)
	// The read ends when Close sets a deadline. Packets that the kernel still holds then
	// are captured too.
	failed := false
	for err == nil && !failed {
		err = raw.Read(func(fd uintptr) bool {
			failed = s.receive(int(fd), buf)
			return failed
		})
	}
	if !failed {
		raw.Control(func(fd uintptr) { s.receive(int(fd), buf) })
	}
}

// receive keeps packets until there are none left. It returns true if it failed.
func (s *Sniffer) receive(fd int, buf []byte) bool {
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return false
		case errors.Is(err, unix.ENETDOWN), errors.Is(err, unix.EINTR):
			continue // the kernel reports once that the link is down; packets may still come
		case err != nil:
			s.fail(err)
			return true
		}
		s.mu.Lock()
		s.packets = append(s.packets, append([]byte(nil), buf[:n]...))
		s.signal()
		s.mu.Unlock()
	}
}

func (s *Sniffer) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	s.signal()
}

// signal wakes all waiters; the caller holds s.mu.
func (s *Sniffer) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Packets returns the packets captured so far, from the Ethernet header on. They are
// shared and must not be changed.
func (s *Sniffer) Packets() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.packets[:len(s.packets):len(s.packets)]
}

// Wait returns when enough has returned true. Wait calls it once with each packet, in
// order, beginning with the first one captured.
func (s *Sniffer) Wait(ctx context.Context, enough func(packet []byte) bool) error {
	for seen := 0; ; {
		s.mu.Lock()
		packets, err, changed := s.packets, s.err, s.changed
		s.mu.Unlock()
		for ; seen < len(packets); seen++ {
			if enough(packets[seen]) {
				return nil
			}
		}
		if err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("lab: after %d packets: %w", seen, ctx.Err())
		}
	}
}

// Close ends the capture; afterwards Packets returns all of it. The error says that the
// kernel had to drop packets, so the capture proves nothing.
func (s *Sniffer) Close() error {
	err := s.file.SetReadDeadline(time.Unix(1, 0))
	<-s.done
	drops, derr := s.drops()
	err = errors.Join(err, derr, s.file.Close())
	if err == nil && drops > 0 {
		err = fmt.Errorf("lab: the sniffer lost %d packets", drops)
	}
	return errors.Join(err, s.err)
}

func (s *Sniffer) drops() (drops uint32, err error) {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	cerr := raw.Control(func(fd uintptr) {
		var stats *unix.TpacketStats
		if stats, err = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			drops = stats.Drops
		}
	})
	return drops, errors.Join(err, cerr)
}
