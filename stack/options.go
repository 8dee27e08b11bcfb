package stack

import "encoding/binary"

// Kinds of TCP options (IANA tcp-parameters).
const (
	optionEnd       = 0
	optionNOP       = 1
	optionScale     = 3
	optionTimestamp = 8
	optionMPTCP     = 30
)

// option finds the first TCP option of a kind. It returns what follows the option's length, and
// the options behind it; both alias options, and are nil where there is none (RFC 9293, section
// 3.1). A broken list of options ends where it breaks.
func option(options []byte, kind uint8) (value []byte, rest []byte) {
	for len(options) > 0 {
		switch options[0] {
		case optionEnd:
			return nil, nil
		case optionNOP:
			options = options[1:]
			continue
		}
		if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
			return nil, nil
		}
		n := options[1]
		if options[0] == kind {
			return options[2:n:n], options[n:]
		}
		options = options[n:]
	}
	return nil, nil
}

// alignedTimestamp is how the options of nearly all segments begin: two NOPs, and the kind and
// length of a timestamp (RFC 7323, appendix A). No other option follows.
const alignedTimestamp = optionNOP<<24 | optionNOP<<16 | optionTimestamp<<8 | 10

// timestamp reads TSval (RFC 7323, section 3.2).
func timestamp(options []byte) (val uint32, ok bool) {
	if len(options) == 0 {
		return 0, false
	}
	if len(options) >= 12 && binary.BigEndian.Uint32(options) == alignedTimestamp {
		return binary.BigEndian.Uint32(options[4:]), true
	}
	if v, _ := option(options, optionTimestamp); len(v) == 8 {
		return binary.BigEndian.Uint32(v), true
	}
	return 0, false
}

// maxScale is the largest shift of a window (RFC 7323, section 2.3).
const maxScale = 14

// windowScale reads the shift of a SYN's window scale option (RFC 7323, section 2.2).
func windowScale(options []byte) (shift uint8, ok bool) {
	v, _ := option(options, optionScale)
	if len(v) != 1 {
		return 0, false
	}
	return min(v[0], maxScale), true
}
