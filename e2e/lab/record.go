package lab

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"hash/crc32"
	"net/netip"
	"strings"
)

// End is how a connection's incoming direction ended.
type End string

const (
	EOF   End = "eof"   // the peer closed, or half-closed
	Reset End = "reset" // the peer reset
	Open  End = "open"  // not at all yet
)

// Record is what one end of a connection knows of the bytes that the client
// sent on it.
type Record struct {
	Client netip.AddrPort // the connection's client, for messages only
	Sum    [sha256.Size]byte
	Len    int64 // bytes
	End    End

	marks []uint32 // CRC-32C of the first 1024, 2048, ... bytes
}

const (
	markEvery = 1024 // bytes
	listed    = 5    // connections that Diff describes of each kind
)

func (r *Record) String() string {
	return fmt.Sprintf("%d bytes, sha256 %x, %s, from %v", r.Len, r.Sum[:6], r.End, r.Client)
}

// common is the length in bytes of the common beginning of both streams, rounded down
// to a multiple of markEvery.
func (r *Record) common(other *Record) int64 {
	n := 0
	for n < len(r.marks) && n < len(other.marks) && r.marks[n] == other.marks[n] {
		n++
	}
	return int64(n) * markEvery
}

// tally computes a Record's sums as the bytes pass.
type tally struct {
	sum   hash.Hash
	crc   uint32
	len   int64
	marks []uint32
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func newTally() tally { return tally{sum: sha256.New()} }

func (t *tally) add(b []byte) {
	t.sum.Write(b)
	for len(b) > 0 {
		n := min(len(b), int(markEvery-t.len%markEvery))
		t.crc = crc32.Update(t.crc, castagnoli, b[:n])
		t.len += int64(n)
		if t.len%markEvery == 0 {
			t.marks = append(t.marks, t.crc)
		}
		b = b[n:]
	}
}

func (t *tally) record(client netip.AddrPort, end End) Record {
	r := Record{Client: client, Len: t.len, End: end, marks: t.marks}
	t.sum.Sum(r.Sum[:0])
	return r
}

// RecordOf returns the record of a client's whole stream.
func RecordOf(client netip.AddrPort, stream []byte, end End) Record {
	t := newTally()
	t.add(stream)
	return t.record(client, end)
}

// Diff compares two multisets of connections by their bytes and their ends. It returns
// "" if they are equal. Otherwise it says what is missing in got, and what got has in its
// place.
func Diff(want, got []Record) string {
	missing, extra := subtract(want, got), subtract(got, want)
	if len(missing) == 0 && len(extra) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "want %d connections, got %d; %d missing, %d unexpected\n",
		len(want), len(got), len(missing), len(extra))
	for i := range missing[:min(listed, len(missing))] {
		fmt.Fprintf(&b, "  missing:    %v\n", &missing[i])
	}
	for i := range extra[:min(listed, len(extra))] {
		fmt.Fprintf(&b, "  unexpected: %v%s\n", &extra[i], resemblance(&extra[i], missing))
	}
	return b.String()
}

type identity struct {
	sum [sha256.Size]byte
	len int64
	end End
}

func (r *Record) identity() identity { return identity{r.Sum, r.Len, r.End} }

// subtract returns what a holds more often than b.
func subtract(a, b []Record) []Record {
	count := make(map[identity]int)
	for i := range b {
		count[b[i].identity()]++
	}
	var rest []Record
	for i := range a {
		if id := a[i].identity(); count[id] > 0 {
			count[id]--
			continue
		}
		rest = append(rest, a[i])
	}
	return rest
}

// resemblance says which of the missing streams r resembles most.
func resemblance(r *Record, missing []Record) string {
	var best *Record
	for i := range missing {
		m := &missing[i]
		if m.Sum == r.Sum {
			return fmt.Sprintf("\n              the bytes are right, the end should be %s", m.End)
		}
		if best == nil || r.common(m) > r.common(best) {
			best = m
		}
	}
	if best == nil || r.common(best) == 0 {
		return ""
	}
	return fmt.Sprintf("\n              at least the first %d bytes are those of: %v", r.common(best), best)
}
