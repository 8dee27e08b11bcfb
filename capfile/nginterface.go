package capfile

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"time"
)

// Options of pcapng blocks (draft-ietf-opsawg-pcapng, sections 4.2 and 4.6).
const (
	optionEnd        = 0
	optionResolution = 9  // of an interface: if_tsresol
	optionOffset     = 14 // of an interface: if_tsoffset
	optionDropped    = 5  // of statistics: isb_ifdrop
	optionOSDropped  = 7  // of statistics: isb_osdrop
)

// ngInterface is what an interface description block says.
type ngInterface struct {
	link    uint32
	snaplen uint32
	second  uint64 // units of time in one
	offset  int64  // seconds to add to every time
	dropped uint64 // packets, as the last statistics say
}

// iface reads the interface description block in f.body.
func (f *pcapng) iface() error {
	if len(f.body) < 8 {
		return fmt.Errorf("%w: an interface block of %d bytes", ErrCorrupt, len(f.body))
	}
	if len(f.ifaces) == maxInterfaces {
		return fmt.Errorf("%w: more than %d interfaces", ErrCorrupt, maxInterfaces)
	}
	i := ngInterface{
		link: uint32(f.order.Uint16(f.body)), snaplen: f.order.Uint32(f.body[4:]), second: 1_000_000,
	}
	for options := f.body[8:]; ; {
		code, value, rest, ok := nextOption(f.order, options)
		if !ok {
			break
		}
		options = rest
		switch {
		case code == optionResolution && len(value) == 1:
			if i.second = unitsPerSecond(value[0]); i.second == 0 {
				return fmt.Errorf("%w: time resolution %#x", ErrCorrupt, value[0])
			}
		case code == optionOffset && len(value) == 8:
			i.offset = int64(f.order.Uint64(value))
		}
	}
	f.ifaces = append(f.ifaces, i)
	return nil
}

// statistics reads the interface statistics block in f.body. Its figures are of all
// the time since the capture began.
func (f *pcapng) statistics() error {
	if len(f.body) < 12 {
		return fmt.Errorf("%w: a statistics block of %d bytes", ErrCorrupt, len(f.body))
	}
	id := uint64(f.order.Uint32(f.body))
	if id >= uint64(len(f.ifaces)) {
		return fmt.Errorf("%w: statistics of interface %d of %d", ErrCorrupt, id, len(f.ifaces))
	}
	i := &f.ifaces[id]
	dropped := uint64(0)
	for options := f.body[12:]; ; {
		code, value, rest, ok := nextOption(f.order, options)
		if !ok {
			break
		}
		options = rest
		if (code == optionDropped || code == optionOSDropped) && len(value) == 8 {
			dropped += f.order.Uint64(value)
		}
	}
	if dropped > i.dropped {
		f.stats.dropped.Add(dropped - i.dropped)
		i.dropped = dropped
	}
	return nil
}

// nextOption splits off the first option (section 3.5). ok is false after the last one.
func nextOption(order binary.ByteOrder, b []byte) (code uint16, value, rest []byte, ok bool) {
	if len(b) < 4 {
		return 0, nil, nil, false
	}
	code = order.Uint16(b)
	n := int(order.Uint16(b[2:]))
	if code == optionEnd || len(b) < 4+n {
		return 0, nil, nil, false
	}
	return code, b[4 : 4+n], b[min(4+(n+3)&^3, len(b)):], true
}

// unitsPerSecond decodes if_tsresol: a power of 10, or of 2 if the highest bit is set. It is 0
// if that exceeds 64 bits.
func unitsPerSecond(resolution byte) uint64 {
	n := int(resolution & 0x7f)
	if resolution&0x80 != 0 {
		if n > 63 {
			return 0
		}
		return 1 << n
	}
	if n > 19 {
		return 0
	}
	units := uint64(1)
	for range n {
		units *= 10
	}
	return units
}

// maxSeconds is the latest time of a packet, in the year 2242. A later one, or one before
// 1970, is no time; its nanoseconds would not fit into 64 bits.
const maxSeconds = 1 << 33

// time is that of a packet, in the interface's units.
func (i *ngInterface) time(units uint64) time.Time {
	seconds := int64(min(units/i.second, maxSeconds))
	hi, lo := bits.Mul64(units%i.second, uint64(time.Second))
	nanoseconds, _ := bits.Div64(hi, lo, i.second)
	offset := min(max(i.offset, -maxSeconds), maxSeconds)
	return time.Unix(min(max(seconds+offset, 0), maxSeconds), int64(nanoseconds))
}
