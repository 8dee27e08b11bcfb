package bridge

import (
	"net"
	"os"
	"time"

	"netmirror/target"
)

// dial is how far a stream has come with connecting.
type dial struct {
	step  dialStep
	begun int64         // when the attempt was, in the loop's time
	tried int           // attempts that have failed
	delay time.Duration // before the next one
	pause time.Duration // the last one before a full queue was asked again; 0: none
	addrs []*address    // that are left to try
	at    *address      // that is being tried
	err   error         // what the first address failed with
}

type dialStep uint8

const (
	resolving  dialStep = iota // waits for the name's addresses
	connecting                 // waits for the socket
	queueing                   // waits for room in the listen queue of a unix socket
	elsewhere                  // Config.Dial or the TLS handshake runs
	pausing                    // before the next attempt
)

// begin connects the stream to the target, or waits for something that goes there, unless
// a shutdown came first.
func (s *stream) begin() {
	switch {
	case s.phase == ended:
	case s.chosen():
		s.enter(waiting)
		s.l.schedule(s)
	default:
		s.beginDial()
	}
}

// beginDial begins to connect to the target.
func (s *stream) beginDial() {
	s.dial.delay = s.b.cfg.RetryDelay
	s.attempt()
}

// attempt begins an attempt to connect.
func (s *stream) attempt() {
	d := &s.dial
	s.b.n.dials.Add(1)
	d.begun, d.err, d.pause = s.l.now, nil, 0
	if s.b.cfg.Dial != nil {
		s.dialElsewhere()
		return
	}
	s.l.after(s, s.b.cfg.DialTimeout)
	d.step = resolving
	if addrs, ok := s.l.namesOf(s.b).get(s.l, s); ok {
		s.resolved(addrs, nil)
	}
}

// dialElsewhere has Config.Dial connect.
func (s *stream) dialElsewhere() {
	s.dial.step = elsewhere
	s.l.goPost(func() func() {
		c, err := s.b.dialWith(s.l.ctx, s.b.cfg.Dial)
		return func() { s.dialed(c, err) }
	})
}

// dialed takes what Config.Dial has given.
func (s *stream) dialed(c *net.TCPConn, err error) {
	if s.phase == ended {
		if err == nil {
			c.Close()
		}
		return
	}
	if err != nil {
		s.failed(err)
		return
	}
	if s.adopt(c, allEvents) {
		s.tcp.setUp()
		s.tcp.setPrompt()
		s.connected(&s.tcp)
	}
}

// adopt takes over a connection from elsewhere, or fails the attempt.
func (s *stream) adopt(c *net.TCPConn, events uint32) bool {
	err := s.tcp.adopt(c)
	if err == nil {
		err = s.tcp.watch(s.l.poll, s, events)
	}
	if err != nil {
		s.tcp = tcpConn{}
		c.Close()
		s.failed(err)
	}
	return err == nil
}

// resolved begins with the first address of the name.
func (s *stream) resolved(addrs []*address, err error) {
	if err != nil {
		s.failed(&net.OpError{Op: "dial", Net: "tcp", Err: err})
		return
	}
	s.dial.addrs = addrs
	s.connectNext()
}

// connected ends dialing: the target has taken the connection.
func (s *stream) connected(out targetConn) {
	s.b.cfg.DialTime(time.Duration(s.l.now-s.dial.begun), nil)
	if !s.pending {
		s.b.outage.answered(time.Now())
	}
	s.dial = dial{}
	s.out, s.since, s.first = out, s.l.now, s.l.now
	s.l.unconfirmed = append(s.l.unconfirmed, s)
	if s.b.to.HasHeader() && s.b.to.Network != target.TLS {
		s.introduction()
	}
	s.resume()
}

// failed ends an attempt, and dialing too where it was the last.
func (s *stream) failed(err error) {
	d := &s.dial
	s.l.timers.stop(s)
	s.b.cfg.DialTime(time.Duration(s.l.now-d.begun), err)
	s.b.n.dialErrors.Add(1)
	if d.tried == s.b.cfg.Retries {
		d.step = pausing
		s.b.outage.refused(time.Now(), err)
		s.finish(dialEnd(err))
		return
	}
	d.tried++
	d.step = pausing
	s.l.after(s, d.delay)
	d.delay *= 2
}

// expired is called at the time that the dial waits for.
func (d *dial) expired(s *stream) {
	switch d.step {
	case pausing:
		s.attempt()
	case connecting:
		s.connectFailed(errTimeout)
	case queueing:
		s.askAgain()
	case resolving:
		s.l.namesOf(s.b).overdue(s.l, s)
	}
}

// cancel frees what an attempt holds. The result of a goroutine is thrown away when
// it comes.
func (d *dial) cancel(s *stream) {
	if d.step == connecting || d.step == queueing {
		s.tcp.close()
		s.tcp = tcpConn{}
	}
}

// errTimeout is what net says of an attempt that took too long, and errTooLong of one
// that has come to no address.
var (
	errTimeout       = os.ErrDeadlineExceeded
	errTooLong error = &net.OpError{Op: "dial", Net: "tcp", Err: errTimeout}
)
