// Package replay plays capture files. It detects what they hold, passes their packets to the
// pipeline no faster than they can be forwarded, and reports the outcome at the end.
package replay

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"netmirror/capfile"
	"netmirror/service"
	"netmirror/source"
	"netmirror/wire"
)

// What is looked at to find out what the files hold.
const (
	lookPackets = 1000
	lookBytes   = 1 << 20
)

// Config says which files to play, and how.
type Config struct {
	// Paths are the files; see [capfile.Open].
	Paths []string
	Stdin io.Reader
	// Speed is the rate relative to the capture. 0: as fast as packets can be forwarded.
	Speed float64
	// Ports are the services' TCP ports; none: any.
	Ports service.Ports
	// Mirror is the encapsulation and the ports of the mirror's packets. The zero value stands
	// for any.
	Mirror wire.Mirror
	// VNIs are the networks of the mirror's packets in the files. If there are none, the first
	// packets decide what the files hold.
	VNIs []uint32
	// EveryVNI: the services themselves select the networks, so a network that the first
	// packets do not show is not reported as missing.
	EveryVNI bool
}

// Source gives the packets of capture files. Its clock is theirs.
type Source struct {
	cfg      Config
	reader   *capfile.Reader
	batches  *capfile.Batcher
	ahead    []ahead // batches that were looked at, and are to be given first
	detector *detector
	kind     Kind
	looked   bool // the first packets were looked at, to know the Kind
	pacer    capfile.Pacer
	throttle throttle

	stopped context.Context
	stop    context.CancelFunc

	batch capfile.Batch

	at       atomic.Int64 // when the last batch was captured, Unix nanoseconds
	caughtUp atomic.Int64 // what was captured before has been given and is done with
	ended    atomic.Bool
	unknown  atomic.Uint64 // packets of the service, of networks that the first packets did not show

	otherKind atomic.Uint64 // packets of the service that are a mirror's and the Kind is not, or the other way round

	mu     sync.Mutex // guards the fields below
	stats  source.Stats
	fault  error
	first  time.Time // when the first packet was captured
	closed bool
}

// ahead is a batch in memory of its own.
type ahead struct {
	at     time.Time
	frames [][]byte
	cut    int
}

var _ source.Source = (*Source)(nil)

// Open opens the files and looks at their first packets. When ctx ends meanwhile, its
// error is returned.
func Open(ctx context.Context, c Config) (*Source, error) {
	d, err := newDetector(c.Ports, c.Mirror)
	if err != nil {
		return nil, err
	}
	s := &Source{cfg: c, detector: d, pacer: capfile.Pacer{Speed: c.Speed}}
	s.stopped, s.stop = context.WithCancel(context.Background())
	defer context.AfterFunc(ctx, s.Stop)()
	if slices.Contains(c.Paths, capfile.Stdin) {
		c.Stdin = s.interruptible(c.Stdin)
	}
	if s.reader, err = capfile.Open(c.Paths, c.Stdin); err != nil {
		s.Stop()
		return nil, cmp.Or(ctx.Err(), err)
	}
	s.batches = capfile.NewBatcher(s.reader)
	s.look()
	if err := ctx.Err(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// interruptible is stdin with reads that end when the source is stopped. Nothing else can end
// a read of a pipe that another program has opened. So a goroutine makes the reads; it ends
// with the pipe.
func (s *Source) interruptible(stdin io.Reader) io.Reader {
	r, w := io.Pipe()
	context.AfterFunc(s.stopped, func() { w.CloseWithError(context.Canceled) })
	go func() {
		_, err := io.Copy(w, stdin)
		w.CloseWithError(err) // nil is io.EOF
	}()
	return r
}

// look reads the first packets, which Next then gives, to find out what they are.
func (s *Source) look() {
	d := s.detector
	switch {
	case d.mirror.Bare():
		s.kind = bare()
		return
	case len(s.cfg.VNIs) > 0:
		s.kind = Kind{Mirror: d.mirror, VNIs: s.cfg.VNIs}
		return
	}
	for bytes := 0; d.kind.Packets < lookPackets && bytes < lookBytes && !d.sure(); {
		err := s.batches.Read(&s.batch)
		if err != nil {
			break // Next finds it again
		}
		copied := ahead{at: s.batch.Time, cut: cut(&s.batch)}
		for _, frame := range s.batch.Frames {
			d.see(frame)
			bytes += len(frame)
			copied.frames = append(copied.frames, append([]byte(nil), frame...))
		}
		s.ahead = append(s.ahead, copied)
	}
	s.kind, s.looked = d.result(), true
}

// cut is how many packets of the batch the snapshot length has cut.
func cut(b *capfile.Batch) (n int) {
	for i, frame := range b.Frames {
		if len(frame) < b.Lengths[i] {
			n++
		}
	}
	return n
}

// Kind is what the files hold, by their first packets.
func (s *Source) Kind() Kind { return s.kind }

// Empty says whether the files were looked into, and have no packet.
func (s *Source) Empty() bool { return s.looked && s.kind.Packets == 0 }

// Throttle makes Next wait while the pipeline has too much to do. Call it before Next, if at
// all.
func (s *Source) Throttle(b Backlog) { s.throttle.Backlog = b }

// Next implements [source.Source]. A file that cannot be read to its end ends like a complete
// one; Fault tells why.
func (s *Source) Next() ([][]byte, error) {
	s.caughtUp.Store(s.at.Load())
	at, frames, cut, err := s.read()
	if err == nil {
		err = s.wait(at, frames)
	}
	if err != nil {
		s.end(err)
		return nil, io.EOF
	}
	s.at.Store(at.UnixNano())
	s.seek(frames)
	s.count(at, frames, cut)
	return frames, nil
}

// wait waits until the frames are due, and there is room for them.
func (s *Source) wait(at time.Time, frames [][]byte) error {
	if err := s.pacer.Wait(s.stopped, at); err != nil {
		return err
	}
	if before := s.at.Load(); before != 0 && s.cfg.Speed <= 0 {
		if err := s.throttle.pause(s.stopped, at.Sub(time.Unix(0, before))); err != nil {
			return err
		}
	}
	return s.throttle.wait(s.stopped, frames)
}

// read gives the next batch of the files.
func (s *Source) read() (at time.Time, frames [][]byte, cutFrames int, err error) {
	if len(s.ahead) > 0 {
		b := s.ahead[0]
		s.ahead = s.ahead[1:]
		return b.at, b.frames, b.cut, s.stopped.Err()
	}
	if err := s.batches.Read(&s.batch); err != nil {
		return time.Time{}, nil, 0, err
	}
	return s.batch.Time, s.batch.Frames, cut(&s.batch), nil
}

// seek counts packets of the service that are not read as such, unless the user has said what
// is to be read.
func (s *Source) seek(frames [][]byte) {
	if s.cfg.Mirror.Bare() || len(s.cfg.VNIs) > 0 {
		return
	}
	for _, frame := range frames {
		network, kind := s.detector.other(frame, &s.kind)
		if network && !s.cfg.EveryVNI {
			s.unknown.Add(1)
		}
		if kind {
			s.otherKind.Add(1)
		}
	}
}

// count counts a batch.
func (s *Source) count(at time.Time, frames [][]byte, cut int) {
	var bytes uint64
	for _, f := range frames {
		bytes += uint64(len(f))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first.IsZero() {
		s.first = at
	}
	s.stats.Frames += uint64(len(frames))
	s.stats.Bytes += bytes
	s.stats.Cut += uint64(cut)
}

// end ends the source: the files are read, or the reading was stopped.
func (s *Source) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != io.EOF && !errors.Is(err, context.Canceled) && s.fault == nil {
		s.fault = err
	}
	s.ended.Store(true)
}

// now is the time in the files.
func (s *Source) now() time.Time { return time.Unix(0, s.at.Load()) }

// Start implements [source.Source].
func (s *Source) Start() source.Start { return source.Ethernet }

// BatchTime implements [source.Source].
func (s *Source) BatchTime() time.Time { return s.now() }

// More implements [source.Source].
func (s *Source) More() bool { return s.cfg.Speed <= 0 && !s.ended.Load() }

// Clock implements [source.Source].
func (s *Source) Clock() source.Clock { return source.Stamps }

// CaughtUp implements [source.Source].
func (s *Source) CaughtUp(now time.Time) time.Time {
	if s.ended.Load() {
		return now
	}
	return time.Unix(0, s.caughtUp.Load())
}

// Stats implements [source.Source].
func (s *Source) Stats() source.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Packets = st.Frames
	return st
}

// Files counts what was read from the files.
func (s *Source) Files() capfile.Stats { return s.reader.Stats() }

// Progress is that of [capfile.Reader].
func (s *Source) Progress() (read, total int64) { return s.reader.Progress() }

// Fault is why the files could not be read to their end, or nil. Several files have one error
// each ([errors.Join]).
func (s *Source) Fault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// Unknown is how many packets of the service are in networks that Kind does not have, because
// the first packets did not show them.
func (s *Source) Unknown() uint64 { return s.unknown.Load() }

// OtherKind is how many packets of the service are not of the Kind: a host's among those of a
// mirror, or a mirror's among those of a host.
func (s *Source) OtherKind() uint64 { return s.otherKind.Load() }

// Span is from when to when the packets were captured that Next has given.
func (s *Source) Span() (from, to time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first, s.now()
}

// Stop implements [source.Source].
func (s *Source) Stop() { s.stop() }

// Close implements [source.Source].
func (s *Source) Close() error {
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.reader.Close()
}
