package service

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Sample takes a share of all connections, each of them whole. Only their addresses
// and the key decide which ones, so every process takes the same, also after a
// restart. The zero value takes all.
type Sample struct {
	drop uint64 // connections with a smaller hash are left out
	by   SampleBy
	key  uint64
}

// SampleBy says what is drawn.
type SampleBy int

const (
	ByConnection SampleBy = iota // each connection by itself
	ByClient                     // all connections of a client address together
)

// NewSample reads a share: a percentage like "10%", a fraction like "1/64", or
// "all". key is any text; different keys take different connections.
func NewSample(share string, by SampleBy, key string) (Sample, error) {
	part, err := parseShare(strings.TrimSpace(share))
	if err != nil {
		return Sample{}, err
	}
	s := Sample{by: by, key: xxhash.Sum64String(key)}
	if part < 1 {
		s.drop = uint64((1 - part) * math.MaxUint64)
	}
	return s, nil
}

func parseShare(s string) (float64, error) {
	wrong := fmt.Errorf("share %q is neither a percentage like 10%% nor a fraction like 1/64, above 0 and at most 100%%%s", s, meantShare(s))
	var part float64
	if number, percent := strings.CutSuffix(s, "%"); percent {
		n, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return 0, wrong
		}
		part = n / 100
	} else if a, b, ok := strings.Cut(s, "/"); ok {
		x, errX := strconv.ParseUint(a, 10, 32)
		y, errY := strconv.ParseUint(b, 10, 32)
		if errX != nil || errY != nil || y == 0 {
			return 0, wrong
		}
		part = float64(x) / float64(y)
	} else if s == "all" {
		part = 1
	}
	if !(part > 0 && part <= 1) {
		return 0, wrong
	}
	return part, nil
}

// meantShare is the share that a bare number was probably meant to be, for messages.
func meantShare(s string) string {
	n, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || !(n > 0 && n <= 100):
		return ""
	case n < 1: // a part of 1
		n *= 100
	}
	return "; did you mean " + strconv.FormatFloat(n, 'g', 6, 64) + "%?"
}

// All reports whether every connection is taken.
func (s Sample) All() bool { return s.drop == 0 }

// Takes reports whether a connection is taken. The addresses are those of the
// packet's IP header, 4 or 16 bytes each.
func (s Sample) Takes(client, server []byte, clientPort, serverPort uint16) bool {
	if s.drop == 0 {
		return true
	}
	var d xxhash.Digest
	d.ResetWithSeed(s.key)
	d.Write(client) // never fails
	if s.by == ByConnection {
		d.Write(server)
		d.Write([]byte{byte(clientPort >> 8), byte(clientPort), byte(serverPort >> 8), byte(serverPort)})
	}
	return d.Sum64() >= s.drop
}
