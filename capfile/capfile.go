// Package capfile reads packets from capture files: pcap and pcapng, as they are,
// compressed with gzip or zstd, or from standard input.
//
// It only reads. A file may be hostile: what cannot be read is an error, and
// memory is bounded whatever the file says. It reads link layers, and nothing
// further inside packets.
package capfile

import (
	"errors"
	"io"
	"time"

	"netmirror/wire"
)

// Stdin is the path that means standard input.
const Stdin = "-"

// What [Open] and [Reader.Next] find wrong with a file. A file that ends in the
// middle of a packet gives [io.ErrUnexpectedEOF].
var (
	ErrFormat  = errors.New("not a capture file that can be read")
	ErrCorrupt = errors.New("the capture file is damaged")
)

const (
	// maxPacket bounds how many bytes of one packet are read. Linux makes packets of up to 512
	// KiB on a host (BIG TCP), and tcpdump's snapshot length is 256 KiB.
	maxPacket = 1 << 20
	// headroom is the free space in front of a packet as it is read, so that any link-layer
	// header can be replaced with an Ethernet header in place.
	headroom = wire.EthernetHeader
)

// Packet is one packet of a capture file.
type Packet struct {
	// Time is when it was captured, from 1970 to 2242. A pcapng block without a time has the
	// time of the packet before it in the file.
	Time time.Time
	// Data begins with an Ethernet header, whatever the capture's link layer is. If that has
	// no MAC addresses, the first 12 bytes mean nothing. Data is valid until the next call of
	// Next.
	Data []byte
	// Length is the packet's length when it was captured, counted like Data. It exceeds
	// len(Data) if the capture's snapshot length cut the packet.
	Length int
}

// Stats counts what was read.
type Stats struct {
	Packets uint64 // that Next gave
	Bytes   uint64 // of their data
	// OtherLink are packets of link layers that cannot be read. Next skips them.
	OtherLink uint64
	// Dropped are packets lost by the program that wrote the files, if it says so (pcapng
	// interface statistics).
	Dropped uint64
}

// format reads one kind of capture file.
type format interface {
	// next reads the next packet into p, whose data it owns until the next call.
	// It is io.EOF at the end of the file, and io.ErrUnexpectedEOF where the file
	// ends within something.
	next(p *Packet) error
}

// buffer holds one packet.
type buffer struct{ b []byte }

// read reads a packet's n bytes, n from 0 to maxPacket. The result has headroom in front of
// it.
func (f *buffer) read(r io.Reader, n int) ([]byte, error) {
	if need := headroom + n; cap(f.b) < need {
		f.b = make([]byte, max(need, min(2*cap(f.b), headroom+maxPacket), 2048))
	}
	data := f.b[headroom : headroom+n]
	_, err := io.ReadFull(r, data)
	return data, within(err)
}

// frame turns the packet that read returned into an Ethernet frame; see [toEthernet].
func (f *buffer) frame(link uint32, n int, p *Packet, length int) bool {
	start, end, ok := toEthernet(link, f.b[:headroom+n])
	if !ok {
		return false
	}
	p.Data = f.b[start:end:end]
	p.Length = max(length, n) + headroom - start
	return true
}

// within is the error of a read in the middle of a structure, where an end of file is never
// right.
func within(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
