package bridge

import (
	"net"
	"slices"
)

// source is an accepted conn with all of the methods that Serve describes.
type source interface {
	Read(p []byte) (int, error)
	WaitReadable() error
	Unread(p []byte)
	CloseWith(outcome string)
	RemoteAddr() net.Addr
}

// sourceOf is c itself where it has every method, and else c in a keeper, which
// is then returned too.
func sourceOf(c net.Conn) (source, *keeper) {
	if s, ok := c.(source); ok {
		return s, nil
	}
	k := &keeper{Conn: c}
	k.waiter, _ = c.(interface{ WaitReadable() error })
	k.closer, _ = c.(interface{ CloseWith(outcome string) })
	return k, k
}

// splitter is a source that can end itself where another connection to the
// target had better take over.
type splitter interface{ Split() }

// keeper makes a source of a conn that lacks some of its methods. It keeps the
// unread bytes itself, and the conn never sees them again.
type keeper struct {
	net.Conn
	waiter interface{ WaitReadable() error }      // nil: not one of Conn's methods
	closer interface{ CloseWith(outcome string) } // likewise
	kept   []byte                                 // of the goroutine that reads
}

func (k *keeper) Read(p []byte) (int, error) {
	if len(k.kept) == 0 {
		return k.Conn.Read(p)
	}
	n := copy(p, k.kept)
	if k.kept = k.kept[n:]; len(k.kept) == 0 {
		k.kept = nil // an empty end would hold the whole
	}
	return n, nil
}

// WaitReadable returns at once where nothing is known of the conn, whose Read
// may then wait.
func (k *keeper) WaitReadable() error {
	if len(k.kept) > 0 || k.waiter == nil {
		return nil
	}
	return k.waiter.WaitReadable()
}

func (k *keeper) Unread(p []byte) { k.kept = slices.Concat(p, k.kept) }

func (k *keeper) CloseWith(outcome string) {
	if k.closer != nil {
		k.closer.CloseWith(outcome)
		return
	}
	k.Close()
}
