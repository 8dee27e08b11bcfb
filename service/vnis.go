package service

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"netmirror/wire"
)

// VNIs is a set of VNIs (24 bits each), in ascending order without duplicates. The
// empty set stands for every VNI. Make it with [ParseVNIs] or [VNIsOf].
type VNIs []uint32

// anyVNI is the word for every VNI.
const anyVNI = "any"

// VNIsOf is the set of the given VNIs.
func VNIsOf(ids ...uint32) VNIs {
	v := slices.Clone(VNIs(ids))
	slices.Sort(v)
	return slices.Compact(v)
}

// ParseVNIs reads a list like "42,43", or "any". The error says which word is wrong.
func ParseVNIs(list string) (VNIs, error) {
	if strings.TrimSpace(list) == anyVNI {
		return nil, nil
	}
	var ids []uint32
	for word := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(word) == anyVNI {
			return nil, fmt.Errorf("VNI %q is all of them; leave the others out", anyVNI)
		}
		n, err := strconv.ParseUint(strings.TrimSpace(word), 10, 24)
		if err != nil {
			return nil, fmt.Errorf("VNI %q is neither a number from 0 to %d nor %q", word, wire.MaxVNI, anyVNI)
		}
		ids = append(ids, uint32(n))
	}
	return VNIsOf(ids...), nil
}

// Any reports whether the set stands for every VNI.
func (v VNIs) Any() bool { return len(v) == 0 }

// Has reports whether the set includes id.
func (v VNIs) Has(id uint32) bool {
	_, found := slices.BinarySearch(v, id)
	return found || v.Any()
}

// String is the set as [ParseVNIs] reads it.
func (v VNIs) String() string {
	if v.Any() {
		return anyVNI
	}
	words := make([]string, len(v))
	for i, id := range v {
		words[i] = strconv.FormatUint(uint64(id), 10)
	}
	return strings.Join(words, ",")
}
