package service

import (
	"fmt"
	"net/netip"
	"strings"
)

// Clients is the client addresses of a service. The zero value takes all.
type Clients struct {
	only, except []netip.Prefix
}

// NewClients reads lists of addresses and networks: the clients to take (none: all),
// and those among them to leave out.
func NewClients(only, except []string) (Clients, error) {
	var c Clients
	var err error
	if c.only, err = parsePrefixes(only); err != nil {
		return Clients{}, err
	}
	c.except, err = parsePrefixes(except)
	return c, err
}

// parsePrefixes reads addresses and networks like "10.0.0.0/8" and "2001:db8::1". Each
// string may be a list with commas.
func parsePrefixes(lists []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, list := range lists {
		for word := range strings.SplitSeq(list, ",") {
			word = strings.TrimSpace(word)
			p, err := netip.ParsePrefix(word)
			if addr, addrErr := netip.ParseAddr(word); addrErr == nil {
				p, err = netip.PrefixFrom(addr.WithZone(""), addr.BitLen()), nil
			}
			if err != nil {
				return nil, fmt.Errorf("%q is neither an address nor a network like 10.0.0.0/8", word)
			}
			all = append(all, p.Masked())
		}
	}
	return all, nil
}

// All reports whether every client is taken.
func (c Clients) All() bool { return len(c.only) == 0 && len(c.except) == 0 }

// Lists reports which of the lists there are: of clients to take, and to leave out.
func (c Clients) Lists() (only, except bool) { return len(c.only) > 0, len(c.except) > 0 }

// Takes reports whether a client is taken. The address is that of the packet's IP
// header, 4 or 16 bytes.
func (c Clients) Takes(client []byte) bool {
	if c.All() {
		return true
	}
	addr, ok := netip.AddrFromSlice(client)
	if !ok {
		return false
	}
	return (len(c.only) == 0 || contains(c.only, addr)) && !contains(c.except, addr)
}

// TakesEither is for packets of which either end may be the client. One end must be
// among the clients to take, and neither among those to leave out.
func (c Clients) TakesEither(a, b []byte) bool {
	if c.All() {
		return true
	}
	x, okX := netip.AddrFromSlice(a)
	y, okY := netip.AddrFromSlice(b)
	return okX && okY && (len(c.only) == 0 || contains(c.only, x) || contains(c.only, y)) &&
		!contains(c.except, x) && !contains(c.except, y)
}

func contains(all []netip.Prefix, addr netip.Addr) bool {
	for _, p := range all {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
