package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"runtime"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Order of the filters at a hook of the client link. The mirror copies frames as they
// are on the wire: leaving ones after they were tagged, arriving ones before they are
// untagged.
const (
	priorityPush = iota + 1
	priorityMirror
	priorityPop
)

// tagFrames adds the VLAN tag to every frame that leaves by a namespace's end of the
// client link, and removes it from every frame that arrives. A VLAN device would do
// that, but some kernels have none.
func (l *Lab) tagFrames(n *Namespace) error {
	link, err := n.link.LinkByName(ClientLink)
	if err != nil {
		return fmt.Errorf("lab: %s: %w", ClientLink, err)
	}
	protocol := int32(bits.ReverseBytes16(unix.ETH_P_8021Q))
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		protocol = unix.ETH_P_8021Q
	}
	return errors.Join(
		n.addProgram(link, netlink.HANDLE_MIN_EGRESS, priorityPush, []instruction{
			{code: bpfMovImm, registers: 2, imm: protocol},
			{code: bpfMovImm, registers: 3, imm: int32(l.opts.VLAN)},
			{code: bpfCall, imm: bpfSkbVLANPush},
			{code: bpfMovImm, imm: int32(netlink.TC_ACT_UNSPEC)},
			{code: bpfExit},
		}),
		n.addProgram(link, netlink.HANDLE_MIN_INGRESS, priorityPop, []instruction{
			{code: bpfCall, imm: bpfSkbVLANPop},
			{code: bpfMovImm, imm: int32(netlink.TC_ACT_UNSPEC)},
			{code: bpfExit},
		}),
	)
}

// instruction is struct bpf_insn (linux/bpf.h).
type instruction struct {
	code      uint8
	registers uint8 // destination in the low four bits
	offset    int16
	imm       int32
}

const (
	bpfMovImm = unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_K
	bpfCall   = unix.BPF_JMP | unix.BPF_CALL
	bpfExit   = unix.BPF_JMP | unix.BPF_EXIT

	bpfSkbVLANPush = 18 // helper functions (linux/bpf.h)
	bpfSkbVLANPop  = 19
)

// addProgram loads a classifier and attaches it to one hook of a link.
func (n *Namespace) addProgram(link netlink.Link, hook uint32, priority uint16, program []instruction) error {
	license := [...]byte{'M', 'I', 'T', 0}
	// The beginning of union bpf_attr for BPF_PROG_LOAD; to the kernel the rest is zero.
	attr := struct {
		kind, count    uint32
		program, legal uint64
	}{
		kind:    unix.BPF_PROG_TYPE_SCHED_CLS,
		count:   uint32(len(program)),
		program: uint64(uintptr(unsafe.Pointer(&program[0]))),
		legal:   uint64(uintptr(unsafe.Pointer(&license))),
	}
	var pinner runtime.Pinner // attr holds addresses that the compiler cannot see
	pinner.Pin(&program[0])
	pinner.Pin(&license)
	defer pinner.Unpin()
	fd, errno := uintptr(0), unix.EAGAIN
	for errno == unix.EAGAIN { // a signal of Go's runtime came while the kernel checked the program
		fd, _, errno = unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	}
	if errno == unix.EPERM {
		return fmt.Errorf("%w, and VLAN tags CAP_BPF", ErrPrivilege)
	}
	if errno != 0 {
		return fmt.Errorf("lab: load the VLAN program: %w", errno)
	}
	defer unix.Close(int(fd))
	err := n.link.FilterAdd(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: link.Attrs().Index,
			Parent:    hook,
			Priority:  priority,
			Protocol:  unix.ETH_P_ALL,
		},
		Fd:           int(fd),
		Name:         "vlan",
		DirectAction: true,
	})
	if err != nil {
		return fmt.Errorf("lab: VLAN program on %s in %s: %w", link.Attrs().Name, n.label, err)
	}
	return nil
}
