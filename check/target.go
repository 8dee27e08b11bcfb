package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/target"
)

// answer is what came of a connection to the target.
type answer struct {
	from netip.AddrPort
	took time.Duration
	err  error
	tls  bool // it is a plain target, and speaks TLS
}

// dial begins to connect to the target, if there is one, as netmirror does for
// each stream, and hangs up. The channel gives the one answer.
func dial(ctx context.Context, c Config) <-chan answer {
	if c.Target == "" {
		return nil
	}
	result := make(chan answer, 1)
	go func() {
		result <- try(ctx, c)
	}()
	return result
}

func try(ctx context.Context, c Config) (a answer) {
	start := time.Now()
	to, err := target.New(c.Target, c.TargetOptions)
	if err != nil {
		return answer{err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, c.DialTimeout)
	defer cancel()
	at, err := to.Try(ctx)
	if tcp, ok := at.(*net.TCPAddr); ok {
		a.from = tcp.AddrPort()
	}
	a.took, a.err = time.Since(start), err
	if err == nil && to.Network == target.TCP && slices.Contains(tlsPorts, to.Port) {
		a.tls = speaksTLS(ctx, to.HostPort(), c.TargetOptions)
	}
	return a
}

// tlsPorts are where a service usually speaks TLS. No other one is sent a ClientHello:
// it would be an error in the log of a plain service.
var tlsPorts = []uint16{443, 8443}

// speaksTLS reports whether what listens at an address answers a TLS handshake, whatever
// its certificate is.
func speaksTLS(ctx context.Context, address string, o target.Options) bool {
	o.TLS = target.TLSOptions{Insecure: true}
	to, err := target.New("tls://"+address, o)
	if err != nil {
		return false
	}
	_, err = to.Try(ctx)
	return err == nil || target.IsAlert(err)
}

// target tells whether the target answers. ch is the service that is forwarded
// to it, or nil.
func (r *report) target(c Config, result <-chan answer, ch *choice) {
	if result == nil {
		r.note("target: none given with --to, so none was tried")
		return
	}
	a := <-result
	if a.err != nil {
		r.noTarget(c, a)
		return
	}
	at := netip.AddrPortFrom(a.from.Addr().Unmap(), a.from.Port())
	if ch != nil && slices.Contains(ch.servers, at) {
		r.fault("give the shadow service with --to", "target %s: it is %v, a server of the mirrored service: production would get everything twice, and the copies would be mirrored too", c.Target, at)
		return
	}
	if a.tls && (ch == nil || ch.spoken() != tls) { // of clients that speak TLS, the service tells
		r.fault("give the target as --to tls://"+strings.TrimPrefix(c.Target, "tcp://"),
			"target %s: it speaks TLS, and would get the clients' bytes in the clear", c.Target)
		return
	}
	as := "" // what a name stands for
	if address, err := target.Parse(c.Target); err == nil && address.Named() {
		as = fmt.Sprintf(", as %v", at)
	}
	r.ok("target %s: answers after %v%s", c.Target, a.took.Round(10*time.Microsecond), as)
}

// noTarget tells why the target does not answer.
func (r *report) noTarget(c Config, a answer) {
	var dns *net.DNSError
	do := target.Remedy(a.err)
	switch {
	case errors.Is(a.err, context.Canceled):
		r.fault("let the check finish", "target %s: did not answer in the %v until the end", c.Target, a.took.Round(time.Millisecond))
	case errors.As(a.err, &dns):
		r.fault(do, "target %s: its name does not resolve: %v", c.Target, a.err)
	case errors.Is(a.err, unix.ECONNREFUSED):
		r.fault(do, "target %s: nothing listens there (%v)", c.Target, a.err)
	case errors.Is(a.err, target.ErrNoTLS):
		r.fault(do, "target %s: it took the connection, and did not answer TLS within %v", c.Target, c.DialTimeout)
	case isTimeout(a.err):
		r.fault(do, "target %s: no answer within %v", c.Target, c.DialTimeout)
	case errors.Is(a.err, unix.ENETUNREACH), errors.Is(a.err, unix.EHOSTUNREACH):
		r.fault(do, "target %s: no way there (%v)", c.Target, a.err)
	default:
		r.fault(do, "target %s: %v", c.Target, a.err)
	}
}

// isTimeout says whether the time was up, or the kernel's patience with a peer
// that does not answer.
func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
