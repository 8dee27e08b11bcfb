package bridge

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"
)

// lookUpFor bounds a look-up: net's resolver gives a server five seconds, and then asks the
// next one (resolv.conf(5)). It does not bound the streams that wait for it.
const lookUpFor = 12 * time.Second

// get returns the addresses, or has s told of them later.
func (n *names) get(l *loop, s *stream) (addrs []*address, ok bool) {
	n.used = l.now
	if n.forever || n.late || l.now < n.until {
		return n.inOrder(l.now), true
	}
	if len(n.addrs) > 0 { // time is left to connect to them
		l.after(s, n.b.cfg.DialTimeout/2)
	}
	n.waiting = append(n.waiting, s)
	if !n.asking {
		n.ask(l)
	}
	return nil, false
}

// ask begins a look-up.
func (n *names) ask(l *loop) {
	n.asking = true
	l.goPost(func() func() {
		ctx, cancel := context.WithTimeout(l.ctx, max(n.b.cfg.DialTimeout, lookUpFor))
		defer cancel()
		found, err := n.b.cfg.LookUp(ctx, n.b.to.Host)
		return func() { n.told(l, found, err) }
	})
}

// told takes in a look-up's result. Where it says nothing about the name, the addresses from
// before are still good.
func (n *names) told(l *loop, found []netip.Addr, err error) {
	n.asking, n.late = false, false
	var dns *net.DNSError
	switch {
	case err == nil:
		n.b.outage.named()
		if found, err = n.reached(found); err != nil {
			break
		}
		n.set(found)
		n.until = l.now + int64(namesFor)
	case errors.As(err, &dns) && dns.IsNotFound:
		n.addrs = nil
	case len(n.addrs) > 0 && l.ctx.Err() == nil:
		n.b.outage.unnamed(time.Now(), err)
		n.until = l.now + int64(namesFor)
		err = nil
	}
	n.pass(l, err)
}

// pass passes the addresses, or why there are none, on to the streams that wait for them.
func (n *names) pass(l *loop, err error) {
	waiting := n.waiting
	n.waiting = nil
	for _, s := range waiting {
		if s.phase == dialing && s.dial.step == resolving {
			s.resolved(n.inOrder(l.now), err)
		}
	}
}

// overdue is called when s has waited for as long as it can for a look-up that runs.
func (n *names) overdue(l *loop, s *stream) {
	if len(n.addrs) > 0 {
		n.late = true
		n.pass(l, nil)
		return
	}
	if i := slices.Index(n.waiting, s); i >= 0 { // most often the first
		n.waiting = slices.Delete(n.waiting, i, i+1)
	}
	s.failed(errTooLong)
}
