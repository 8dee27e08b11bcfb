package capfile

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// Magic numbers of pcap files (draft-ietf-opsawg-pcap, section 4). That of the
// modified format is a patched libpcap's, whose records are 8 bytes longer.
const (
	magicMicro    = 0xa1b2c3d4
	magicNano     = 0xa1b23c4d
	magicModified = 0xa1b2cd34
)

const (
	pcapHeader     = 24 // bytes
	recordHeader   = 16 // bytes
	modifiedHeader = 24 // bytes: also an interface, a protocol and a direction
	linkMask       = 0xffff
)

// pcap reads the packets of a pcap file.
type pcap struct {
	r      io.Reader
	order  binary.ByteOrder
	unit   int64 // nanoseconds in a unit of the time's fraction
	link   uint32
	header []byte // of a record
	buf    buffer
}

// pcapOrder is the byte order of the pcap file that begins with b, or nil if b begins no pcap
// file.
func pcapOrder(b []byte) binary.ByteOrder {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(b) {
		case magicMicro, magicNano, magicModified:
			return order
		}
	}
	return nil
}

// newPcap reads the file's header.
func newPcap(r io.Reader, order binary.ByteOrder) (*pcap, error) {
	var h [pcapHeader]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, within(err)
	}
	p := &pcap{r: r, order: order, unit: 1000, header: make([]byte, recordHeader)}
	switch order.Uint32(h[:]) {
	case magicNano:
		p.unit = 1
	case magicModified:
		p.header = make([]byte, modifiedHeader)
	}
	if major := order.Uint16(h[4:]); major != 2 {
		return nil, fmt.Errorf("%w: pcap version %d, need 2", ErrFormat, major)
	}
	p.link = order.Uint32(h[20:]) & linkMask // above it is the length of the FCS
	if !readable(p.link) {
		return nil, otherLink(p.link)
	}
	return p, nil
}

func otherLink(link uint32) error {
	return fmt.Errorf("%w: link type %d (see tcpdump.org/linktypes.html); need Ethernet, Linux cooked, raw IP or loopback", ErrFormat, link)
}

func (f *pcap) next(p *Packet) error {
	if _, err := io.ReadFull(f.r, f.header); err != nil {
		return err
	}
	h := f.header
	captured, length := f.order.Uint32(h[8:]), f.order.Uint32(h[12:])
	if captured > maxPacket {
		return fmt.Errorf("%w: a packet of %d bytes", ErrCorrupt, captured)
	}
	if captured == 0 && length == 0 && f.order.Uint64(h) == 0 {
		// No packet has no bytes. A file has zeros where a system that went down had not written it.
		return fmt.Errorf("%w: zeros in place of packets", ErrCorrupt)
	}
	data, err := f.buf.read(f.r, int(captured))
	if err != nil {
		return err
	}
	p.Time = time.Unix(int64(f.order.Uint32(h)), int64(f.order.Uint32(h[4:]))*f.unit)
	f.buf.frame(f.link, len(data), p, int(length))
	return nil
}
