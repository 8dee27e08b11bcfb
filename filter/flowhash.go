package filter

import (
	"encoding/binary"
	"slices"

	"golang.org/x/net/bpf"

	"netmirror/wire"
)

// Odd numbers whose products mix the bits of a sum. Addresses are multiplied
// once more than ports, so that the next address with the port before is another
// hash.
const (
	addressFactor = 0x9e3779b1
	hashFactor    = 0x85ebca6b
)

// FlowHash is the hash by which sockets share mirrored TCP packets: of n, that of index
// FlowHash % n has them. It is the same in both directions. src and dst are the inner
// addresses, 4 or 16 bytes.
//
// Socket 0 also has what the kernel's program does not hash, as the ports are not
// where it looks: outer fragments, joined, inner fragments, and packets with outer
// or inner headers that it does not look behind. Of several datagrams captured in
// one packet, all are in the socket of the first.
func FlowHash(src, dst []byte, srcPort, dstPort uint16) uint32 {
	h := (words(src) + words(dst)) * addressFactor
	h += uint32(srcPort) + uint32(dstPort)
	h *= hashFactor
	return h ^ h>>16
}

// words adds up b in words of 4 bytes.
func words(b []byte) (sum uint32) {
	for ; len(b) >= 4; b = b[4:] {
		sum += binary.BigEndian.Uint32(b)
	}
	return sum
}

// Fanout is the program that shares a mirror's packets among packet sockets
// (PACKET_FANOUT_CBPF, packet(7)). It gives FlowHash for what Frames accepts, behind up
// to two inner VLAN tags, and 0 for what it cannot read.
func Fanout(m wire.Mirror) []bpf.Instruction {
	start := []bpf.Instruction{
		// The packet begins with the header behind the Ethernet header or the VLAN
		// tag that the kernel has taken off, and this is its EtherType.
		bpf.LoadExtension{Num: bpf.ExtProto},
		bpf.LoadConstant{Dst: bpf.RegX, Val: 0},
	}
	end := []bpf.Instruction{bpf.RetA{}}
	if m.Bare() {
		return slices.Concat(start, hashPacket(0), end)
	}
	return slices.Concat(start, toVXLAN(m, 0), toPayload(), flowHash(), end)
}

// FanoutBehind is Fanout for n sockets that come after another one, to which the program gives
// nothing: it returns 1 + FlowHash % n, and 1 where Fanout returns 0. Only a packet that ends in
// its outer headers goes to the first socket, because the kernel answers 0 for it; Frames drops
// such a packet.
func FanoutBehind(m wire.Mirror, n int) []bpf.Instruction {
	prog := Fanout(m)
	for i, in := range prog {
		if in == (bpf.RetConstant{Val: 0}) {
			prog[i] = bpf.RetConstant{Val: 1}
		}
	}
	return append(prog[:len(prog)-1], // RetA
		bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: uint32(n)},
		bpf.ALUOpConstant{Op: bpf.ALUOpAdd, Val: 1},
		bpf.RetA{})
}

// flowHash loads FlowHash of the mirrored packet in the VXLAN datagram whose UDP payload X
// is at. It answers 0 where there is none.
func flowHash() []bpf.Instruction {
	return slices.Concat(answerShort(atInner+inIP, 0), []bpf.Instruction{load(atInner+inType, 2)}, hashPacket(atInner+inIP))
}

// hashPacket loads FlowHash of the packet at X+ip, of the EtherType in A. It answers 0
// where there is none.
func hashPacket(ip uint32) []bpf.Instruction {
	tag := slices.Concat(answerShort(ip+wire.VLANTag, 0), []bpf.Instruction{load(ip+2, 2)}, add(wire.VLANTag))
	return slices.Concat(
		[]bpf.Instruction{
			bpf.StoreScratch{Src: bpf.RegA, N: scratchA},
			bpf.LoadConstant{Dst: bpf.RegA, Val: 0},
			bpf.StoreScratch{Src: bpf.RegA, N: scratchSum},
			bpf.LoadScratch{Dst: bpf.RegA, N: scratchA},
		},
		ifAny(tagTypes, tag),
		ifAny(tagTypes, tag),
		ifElse(wire.EtherTypeIPv4,
			sumIPv4(ip),
			slices.Concat(require(wire.EtherTypeIPv6), sumIPv6(ip))),
		[]bpf.Instruction{
			bpf.LoadScratch{Dst: bpf.RegA, N: scratchSum},
			bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: addressFactor},
			bpf.StoreScratch{Src: bpf.RegA, N: scratchSum},
		},
		answerShort(ip+4, 0),
		addUp(ip, 2, 2), // the ports
		[]bpf.Instruction{
			bpf.LoadScratch{Dst: bpf.RegA, N: scratchSum},
			bpf.ALUOpConstant{Op: bpf.ALUOpMul, Val: hashFactor},
			bpf.TAX{},
			bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 16},
			bpf.ALUOpX{Op: bpf.ALUOpXor},
		},
	)
}

// sumIPv4 adds up the addresses of the inner IPv4 header (RFC 791, section 3.1) at
// X+ip and moves X on by its length, behind which is TCP.
func sumIPv4(ip uint32) []bpf.Instruction {
	return slices.Concat(
		answerShort(ip+wire.IPv4Header, 0),
		[]bpf.Instruction{load(ip+9, 1)},
		require(wire.ProtoTCP),
		[]bpf.Instruction{load(ip+6, 2)},
		answerIf(bpf.JumpBitsSet, wire.IPv4More|wire.IPv4Offset, 0),
		addUp(ip+12, 2, 4),
		addIHL(ip),
	)
}

// sumIPv6 adds up the addresses of the inner IPv6 header (RFC 8200, section 3) at
// X+ip and moves X on by its length, behind which is TCP.
func sumIPv6(ip uint32) []bpf.Instruction {
	return slices.Concat(
		answerShort(ip+wire.IPv6Header, 0),
		[]bpf.Instruction{load(ip+6, 1)},
		require(wire.ProtoTCP),
		addUp(ip+8, 8, 4),
		add(wire.IPv6Header),
	)
}

// addUp adds n values of size bytes from X+off on to the sum. A is lost.
func addUp(off uint32, n, size int) []bpf.Instruction {
	prog := []bpf.Instruction{bpf.StoreScratch{Src: bpf.RegX, N: scratchX}}
	for i := range n {
		prog = append(prog,
			load(off+uint32(i*size), size),
			bpf.LoadScratch{Dst: bpf.RegX, N: scratchSum},
			bpf.ALUOpX{Op: bpf.ALUOpAdd},
			bpf.StoreScratch{Src: bpf.RegA, N: scratchSum},
			bpf.LoadScratch{Dst: bpf.RegX, N: scratchX},
		)
	}
	return prog
}
