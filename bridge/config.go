package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"netmirror/requests"
	"netmirror/target"
)

// Config says where streams are played and what a bad target may cost. Only
// Target has to be set; New resolves the defaults once.
type Config struct {
	// Target is the address of the shadow service, as target.Parse takes it: HOST:PORT,
	// or a URL for TLS and for unix sockets.
	Target string

	// Options say how it is reached. The zero value is a plain connection.
	Options target.Options

	// DialTimeout bounds one connect attempt, name lookup and every address
	// included. 0 means 3 s.
	DialTimeout time.Duration

	// Retries is how many attempts follow a failed first one before the stream
	// is given up: as target-refused, or as no-descriptor or no-port where it is this host that failed. 0 means 2, below 0 none.
	Retries int

	// RetryDelay is the pause before the first retry; it doubles with each
	// further one. 0 means 100 ms.
	RetryDelay time.Duration

	// WriteTimeout is how long the target may take nothing, neither a byte into
	// the send queue nor one out of it, before the stream is given up as
	// target-slow. It is noticed at most an eighth later, or as much again where everything
	// fits the send queue; not at all there if the target is a unix socket. A target that has
	// closed its side is waited for as long to acknowledge the first bytes behind that. 0
	// means 10 s.
	WriteTimeout time.Duration

	// LingerTimeout is how long, after the client's FIN was passed on, the target
	// may stay silent before its side is closed too. While it sends, or still
	// takes what is queued for it, it is waited for. A target that is silent with
	// bytes outstanding is target-slow. Noticed like WriteTimeout. 0 means 30 s.
	LingerTimeout time.Duration

	// Room bounds the target connections open at a time, dials included, over all Serve
	// calls, and those of other bridges with the same Room. Further streams are turned away
	// at once: outcome shed, and Stats.TurnedAway. nil means 10000 for this bridge alone.
	Room *Room

	// Requests alter what is sent to the target. nil leaves it alone.
	Requests *requests.Rules

	// Logger takes a line for each stream at Debug, and an outage of the target at
	// Warn and Info. nil discards.
	Logger *slog.Logger

	// DialTime is told how long every attempt to connect for a stream took, and
	// its error. It is called by any goroutine and must not wait. nil: nobody
	// wants to know.
	DialTime func(time.Duration, error)

	// LookUp replaces the look-up of Target's host, for tests. nil means net's resolver.
	// What it returns is good for a second, and until the next answer where that does not come
	// or is an error, other than that there is no such host. Its addresses are tried one after
	// another, those that have just failed last; DialTimeout is shared out among them.
	LookUp func(ctx context.Context, host string) ([]netip.Addr, error)

	// Dial replaces look-up and connecting, for tests; it may wait. What it returns has
	// to be a *net.TCPConn, for a target of TCP. nil means the loop's own.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// withDefaults returns c with every zero replaced; the error names the first
// field that cannot be used.
func (c Config) withDefaults() (Config, error) {
	for _, d := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration
	}{
		{"DialTimeout", &c.DialTimeout, 3 * time.Second},
		{"RetryDelay", &c.RetryDelay, 100 * time.Millisecond},
		{"WriteTimeout", &c.WriteTimeout, 10 * time.Second},
		{"LingerTimeout", &c.LingerTimeout, 30 * time.Second},
	} {
		if *d.value < 0 {
			return c, fmt.Errorf("bridge: %s is %v; it must not be negative", d.name, *d.value)
		}
		if *d.value == 0 {
			*d.value = d.zero
		}
	}
	if c.Room == nil {
		c.Room = NewRoom(10000, 1)
	}
	if c.Retries == 0 {
		c.Retries = 2
	}
	c.Retries = max(c.Retries, 0)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.DialTime == nil {
		c.DialTime = func(time.Duration, error) {}
	}
	if c.LookUp == nil {
		c.LookUp = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	return c, nil
}
