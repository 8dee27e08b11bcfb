package capfile

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng, section 11.1). All others are
// skipped.
const (
	blockSection    = 0x0a0d0d0a
	blockInterface  = 1
	blockOldPacket  = 2
	blockSimple     = 3
	blockStatistics = 5
	blockPacket     = 6
)

const (
	byteOrderMagic = 0x1a2b3c4d

	blockHead = 8 // bytes: type and length, before a block's body
	blockTail = 4 // bytes: the length again, behind it

	maxInterfaces = 1 << 16 // of one section
	maxOptions    = 1 << 16 // bytes of a block that are looked through for options
)

// pcapng reads the packets of a pcapng file.
type pcapng struct {
	r      *bufio.Reader
	order  binary.ByteOrder // of the section
	ifaces []ngInterface    // of the section
	last   time.Time        // of a packet, which one without a time gets
	stats  *counters
	buf    buffer
	body   []byte // of a block that has no packet
	head   [20]byte
}

// newPcapng makes a reader of a file that begins with a section header.
func newPcapng(r *bufio.Reader, stats *counters) *pcapng {
	return &pcapng{r: r, order: binary.LittleEndian, last: time.Unix(0, 0), stats: stats}
}

func (f *pcapng) next(p *Packet) error {
	for {
		if _, err := io.ReadFull(f.r, f.head[:blockHead]); err != nil {
			return err
		}
		kind := f.order.Uint32(f.head[:])
		if kind == blockSection { // reads the same in both byte orders
			if err := f.section(); err != nil {
				return within(err)
			}
			continue
		}
		body, err := f.bodyLength()
		if err != nil {
			return err
		}
		found, err := f.block(kind, body, p)
		if err != nil {
			return within(err)
		}
		if found {
			f.last = p.Time
			return nil
		}
	}
}

// bodyLength is the length of the block's body by its head. Blocks are padded to 32 bits.
func (f *pcapng) bodyLength() (int64, error) {
	total := int64(f.order.Uint32(f.head[4:]))
	if total < blockHead+blockTail || total%4 != 0 {
		return 0, fmt.Errorf("%w: a block of %d bytes", ErrCorrupt, total)
	}
	return total - blockHead - blockTail, nil
}

// section reads the rest of a section header, which tells the byte order of the section.
func (f *pcapng) section() error {
	length := [4]byte(f.head[4:8])
	if _, err := io.ReadFull(f.r, f.head[8:16]); err != nil {
		return err
	}
	switch {
	case binary.LittleEndian.Uint32(f.head[8:]) == byteOrderMagic:
		f.order = binary.LittleEndian
	case binary.BigEndian.Uint32(f.head[8:]) == byteOrderMagic:
		f.order = binary.BigEndian
	default:
		return fmt.Errorf("%w: a section without a byte order", ErrCorrupt)
	}
	copy(f.head[4:8], length[:])
	body, err := f.bodyLength()
	if err != nil {
		return err
	}
	if major := f.order.Uint16(f.head[12:]); major != 1 {
		return fmt.Errorf("%w: pcapng version %d, need 1", ErrFormat, major)
	}
	f.ifaces = f.ifaces[:0]
	return f.skip(body - 8)
}

// block reads the body and the tail of a block. found means that it holds a packet, now in p.
func (f *pcapng) block(kind uint32, body int64, p *Packet) (found bool, err error) {
	switch kind {
	case blockPacket, blockOldPacket:
		return f.packet(kind, body, p)
	case blockSimple:
		return f.simple(body, p)
	case blockInterface, blockStatistics:
		if err := f.take(body); err != nil {
			return false, err
		}
		if kind == blockInterface {
			return false, f.iface()
		}
		return false, f.statistics()
	}
	return false, f.skip(body)
}

// packet reads an enhanced packet block (section 4.3) or an obsolete packet block
// (appendix A), which differ in how they name the interface.
func (f *pcapng) packet(kind uint32, body int64, p *Packet) (bool, error) {
	const fixed = 20
	if body < fixed {
		return false, fmt.Errorf("%w: a packet block of %d bytes", ErrCorrupt, body)
	}
	h := f.head[:fixed]
	if _, err := io.ReadFull(f.r, h); err != nil {
		return false, err
	}
	id := f.order.Uint32(h)
	if kind == blockOldPacket {
		id = uint32(f.order.Uint16(h))
	}
	units := uint64(f.order.Uint32(h[4:]))<<32 | uint64(f.order.Uint32(h[8:]))
	captured, length := int64(f.order.Uint32(h[12:])), int(f.order.Uint32(h[16:]))
	if uint64(id) >= uint64(len(f.ifaces)) {
		return false, fmt.Errorf("%w: a packet of interface %d of %d", ErrCorrupt, id, len(f.ifaces))
	}
	i := &f.ifaces[id]
	p.Time = i.time(units)
	return f.data(i, body-fixed, captured, length, p)
}

// simple reads a simple packet block (section 4.4), which is of the first interface
// and has no time.
func (f *pcapng) simple(body int64, p *Packet) (bool, error) {
	const fixed = 4
	if body < fixed || len(f.ifaces) == 0 {
		return false, fmt.Errorf("%w: a simple packet block of %d bytes, %d interfaces", ErrCorrupt, body, len(f.ifaces))
	}
	if _, err := io.ReadFull(f.r, f.head[:fixed]); err != nil {
		return false, err
	}
	i := &f.ifaces[0]
	length := int64(f.order.Uint32(f.head[:]))
	captured := min(length, body-fixed)
	if i.snaplen > 0 {
		captured = min(captured, int64(i.snaplen))
	}
	p.Time = f.last
	return f.data(i, body-fixed, captured, int(length), p)
}

// data reads a packet's bytes and the rest of its block. left is how many bytes of the block
// are left.
func (f *pcapng) data(i *ngInterface, left, captured int64, length int, p *Packet) (bool, error) {
	if captured > left || captured > maxPacket {
		return false, fmt.Errorf("%w: a packet of %d bytes in a block with %d left", ErrCorrupt, captured, left)
	}
	data, err := f.buf.read(f.r, int(captured))
	if err != nil {
		return false, err
	}
	if err := f.skip(left - captured); err != nil {
		return false, err
	}
	ok := f.buf.frame(i.link, len(data), p, length)
	if !ok {
		f.stats.otherLink.Add(1)
	}
	return ok, nil
}

// take reads the body and the tail of a block without a packet. It keeps the first maxOptions
// bytes of the body.
func (f *pcapng) take(body int64) error {
	if f.body == nil {
		f.body = make([]byte, maxOptions)
	}
	f.body = f.body[:min(body, maxOptions)]
	if _, err := io.ReadFull(f.r, f.body); err != nil {
		return err
	}
	return f.skip(body - int64(len(f.body)))
}

// skip reads to the end of a block whose body has so many bytes left.
func (f *pcapng) skip(left int64) error {
	if left < 0 {
		return fmt.Errorf("%w: a block that is too short", ErrCorrupt)
	}
	_, err := f.r.Discard(int(left + blockTail))
	return err
}
