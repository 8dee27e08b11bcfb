package stack

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
)

// Subtypes of the MPTCP option (RFC 8684, section 8.2). The others change neither
// what a connection's data are nor where they end.
const (
	subtypeCapable   = 0x0
	subtypeJoin      = 0x1
	subtypeDSS       = 0x2
	subtypeFail      = 0x6
	subtypeFastclose = 0x7
	subtypeReset     = 0x8
)

// Flags of the DSS option (RFC 8684, section 3.3).
const (
	dssACK     = 1 << 0 // a Data ACK is there
	dssACK8    = 1 << 1 // it has 8 bytes
	dssMap     = 1 << 2 // a mapping is there
	dssDSN8    = 1 << 3 // its data sequence number has 8 bytes
	dssDataFIN = 1 << 4
)

// resetTransient is a flag of MP_TCPRST (RFC 8684, section 3.6).
const resetTransient = 1 << 0

// mptcpOptions is what the MPTCP options of a segment say. Of numbers of 8 bytes the
// lower 4 are kept.
type mptcpOptions struct {
	present bool

	capable bool
	version uint8
	keys    int       // how many keys there are
	key     [2]uint64 // of the sender and the receiver
	length  uint16    // how much data MP_CAPABLE maps; 0: none

	join  bool
	token uint32 // of the receiver's key; in a SYN

	acks    bool
	ack     uint32 // Data ACK
	maps    bool
	dsn     uint32 // data sequence number of the mapping's first byte
	ssn     uint32 // its place in the subflow, from the subflow's ISN
	dll     uint16 // length of the mapping, DATA_FIN included; 0: it has no end
	dataFIN bool

	fail      bool
	failAt    uint32 // data sequence number from which on the receiver discards
	fastclose bool
	transient bool // of a RST: the subflow may be opened anew
}

// hasMPTCP reports whether there is an MPTCP option.
func hasMPTCP(options []byte) bool {
	if len(options) < 4 || len(options) == 12 && binary.BigEndian.Uint32(options) == alignedTimestamp {
		return false
	}
	v, _ := option(options, optionMPTCP)
	return len(v) > 0
}

// read reads all MPTCP options of a segment. Malformed ones count as absent.
func (o *mptcpOptions) read(options []byte) {
	for {
		v, rest := option(options, optionMPTCP)
		if v == nil {
			return
		}
		options = rest
		if len(v) < 2 {
			continue
		}
		o.present = true
		switch v[0] >> 4 {
		case subtypeCapable:
			o.readCapable(v)
		case subtypeJoin:
			o.join = true
			if len(v) == 10 {
				o.token = binary.BigEndian.Uint32(v[2:])
			}
		case subtypeDSS:
			o.readDSS(v[1], v[2:])
		case subtypeFail:
			if o.fail = len(v) == 10; o.fail {
				o.failAt = binary.BigEndian.Uint32(v[6:])
			}
		case subtypeReset:
			o.transient = len(v) == 2 && v[0]&resetTransient != 0
		case subtypeFastclose:
			if o.fastclose = len(v) == 10; o.fastclose {
				o.key[1] = binary.BigEndian.Uint64(v[2:])
			}
		}
	}
}

// readCapable reads MP_CAPABLE (RFC 8684, section 3.1; RFC 6824, section 3.1).
func (o *mptcpOptions) readCapable(v []byte) {
	keys := 0
	switch len(v) {
	case 2:
	case 10:
		keys = 1
	case 18, 20, 22:
		keys = 2
	default:
		return
	}
	o.capable, o.version, o.keys = true, v[0]&0x0f, keys
	for i := range keys {
		o.key[i] = binary.BigEndian.Uint64(v[2+8*i:])
	}
	if len(v) > 18 {
		o.length = binary.BigEndian.Uint16(v[18:])
	}
}

// readDSS reads a data sequence signal (RFC 8684, section 3.3).
func (o *mptcpOptions) readDSS(flags byte, v []byte) {
	number := func(long bool) (low uint32) {
		n := 4
		if long {
			n = 8
		}
		low, v = binary.BigEndian.Uint32(v[n-4:]), v[n:]
		return low
	}
	need := 0
	if flags&dssACK != 0 {
		need += 4 + 4*int(flags&dssACK8>>1)
	}
	if flags&dssMap != 0 {
		need += 10 + 4*int(flags&dssDSN8>>3)
	}
	if len(v) != need && (flags&dssMap == 0 || len(v) != need+2) { // a checksum may follow
		return
	}
	if flags&dssACK != 0 {
		o.acks, o.ack = true, number(flags&dssACK8 != 0)
	}
	if flags&dssMap != 0 {
		o.maps, o.dsn = true, number(flags&dssDSN8 != 0)
		o.ssn = number(false)
		o.dll = binary.BigEndian.Uint16(v)
		o.dataFIN = flags&dssDataFIN != 0 && o.dll > 0
	}
}

// bareFIN reports whether the options map nothing but a DATA_FIN.
func (o *mptcpOptions) bareFIN() bool { return o.dataFIN && o.ssn == 0 && o.dll == 1 }

// ofKey returns the token of a key and the lower half of its initial data sequence
// number, by the version of MPTCP.
func ofKey(version uint8, key uint64) (token, idsn uint32) {
	b := binary.BigEndian.AppendUint64(nil, key)
	if version == 0 {
		sum := sha1.Sum(b)
		return binary.BigEndian.Uint32(sum[:]), binary.BigEndian.Uint32(sum[16:])
	}
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint32(sum[:]), binary.BigEndian.Uint32(sum[28:])
}
