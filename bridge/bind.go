package bridge

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"netmirror/sleeper"
)

// bind sets what has to be set on a socket before it connects: the mark and the source
// address. Mostly there is neither.
func (b *Bridge) bind(fd int) error {
	if b.to.Mark != 0 {
		if err := sleeper.RawSet(fd, unix.SOL_SOCKET, unix.SO_MARK, int32(b.to.Mark)); err != nil {
			return fmt.Errorf("mark %d: %w", b.to.Mark, os.NewSyscallError("setsockopt", err))
		}
	}
	if !b.to.Source.IsValid() {
		return nil
	}
	// The port is chosen when the socket connects, so that one address has as many
	// ports for each target (ip(7)). Without that fewer connections are possible.
	_ = sleeper.RawSet(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	if err := sleeper.RawBind(fd, &b.source.raw, b.source.size); err != nil {
		return fmt.Errorf("source address %v: %w", b.to.Source, os.NewSyscallError("bind", err))
	}
	return nil
}
