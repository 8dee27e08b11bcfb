package capfile

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"
)

// Reader reads the packets of one or more capture files in the order of their
// times, as mergecap does: the files may follow one another, as a rotated capture's,
// or cover the same time, as those of several interfaces. Within a file the order is
// the file's. A file is open only while its packets are due.
//
// One goroutine may call Next; the figures may be asked for meanwhile.
type Reader struct {
	stdin   io.Reader
	waiting []*member // by the time of their first packet
	open    []*member // each has a packet
	given   *member   // whose packet Next gave last
	all     []*member
	faults  []error // of files that have ended

	packets, bytes atomic.Uint64
}

// member is one of a Reader's files.
type member struct {
	path  string
	read  atomic.Int64 // bytes of the file
	size  int64        // bytes; 0: unknown
	first time.Time    // of its first packet
	in    *input       // nil: it is not open
	head  Packet       // the next
	stats counters
}

// Open opens the capture files at paths; [Stdin] is stdin, and may be given once. It
// reads the first packet of each, so that a file that cannot be read is known at
// once. The error wraps [ErrFormat], [ErrCorrupt] or the system's, with the path.
func Open(paths []string, stdin io.Reader) (*Reader, error) {
	r := &Reader{stdin: stdin}
	for _, path := range paths {
		m := &member{path: path}
		if path == Stdin && slices.ContainsFunc(r.all, func(m *member) bool { return m.path == Stdin }) {
			r.Close()
			return nil, errors.New("standard input can be read once only")
		}
		r.all = append(r.all, m)
		if err := r.look(m, len(paths) > 1); err != nil {
			r.Close()
			return nil, err
		}
	}
	slices.SortStableFunc(r.waiting, func(a, b *member) int { return a.first.Compare(b.first) })
	return r, nil
}

// look reads a file's first packet. If there are other files, and this one can be opened a
// second time, it closes the file again.
func (r *Reader) look(m *member, others bool) error {
	if err := r.begin(m); err != nil {
		return err
	}
	m.size = m.in.size
	if err := m.in.next(&m.head); err != nil {
		if errors.Is(err, io.EOF) {
			r.end(m, nil)
			return nil
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			r.end(m, err)
			return nil
		}
		if errors.Is(err, ErrCorrupt) {
			err = fmt.Errorf("%w; nothing is before it: give another file", err)
		}
		return fmt.Errorf("%s: %w", m.path, err)
	}
	m.first = m.head.Time
	r.waiting = append(r.waiting, m)
	if others && m.in.whole {
		m.in.Close()
		m.in = nil
		m.read.Store(0)
		m.stats.otherLink.Store(0)
		m.stats.dropped.Store(0)
	}
	return nil
}

// begin opens a file.
func (r *Reader) begin(m *member) (err error) {
	m.in, err = openInput(m.path, r.stdin, &m.read, &m.stats)
	if err != nil {
		return fmt.Errorf("%s: %w", m.path, err)
	}
	return nil
}

// Next gives the next packet. At the end of the last file the error is io.EOF or, if files
// could not be read to their end, the errors of all of them. Everything before such an end has
// been returned.
func (r *Reader) Next(p *Packet) error {
	r.advance()
	r.admit()
	m := r.earliest()
	if m == nil {
		if len(r.faults) > 0 {
			return errors.Join(r.faults...)
		}
		return io.EOF
	}
	*p = m.head
	r.given = m
	r.packets.Add(1)
	r.bytes.Add(uint64(len(p.Data)))
	return nil
}

// Ready reports whether Next can read without a long wait. A pipe may bring the next packet
// much later.
func (r *Reader) Ready() bool { return r.given == nil || r.given.in.bytes.Buffered() > 0 }

// advance reads the packet after the one returned last, and reuses its memory.
func (r *Reader) advance() {
	m := r.given
	if m == nil {
		return
	}
	r.given = nil
	if err := m.in.next(&m.head); err != nil {
		r.open = slices.DeleteFunc(r.open, func(o *member) bool { return o == m })
		if err == io.EOF {
			err = nil
		}
		r.end(m, err)
	}
}

// admit opens the files whose first packet is due.
func (r *Reader) admit() {
	for len(r.waiting) > 0 {
		m := r.waiting[0]
		if e := r.earliest(); e != nil && e.head.Time.Before(m.first) {
			return
		}
		r.waiting = r.waiting[1:]
		if m.in == nil {
			err := r.begin(m)
			if err == nil {
				err = m.in.next(&m.head)
			}
			if err != nil { // it was all right when it was looked at
				r.end(m, within(err))
				continue
			}
		}
		r.open = append(r.open, m)
	}
}

// earliest is the open file with the earliest packet, or nil if none is open.
func (r *Reader) earliest() (first *member) {
	for _, m := range r.open {
		if first == nil || m.head.Time.Before(first.head.Time) {
			first = m
		}
	}
	return first
}

// end closes a file. err is what was wrong with it, nil at its end.
func (r *Reader) end(m *member, err error) {
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("the file ends in the middle of a packet (%w)", err)
		}
		err = fmt.Errorf("%w; what was before is used", err)
		r.faults = append(r.faults, fmt.Errorf("%s: %w", m.path, err))
	}
	if m.in != nil {
		m.in.Close()
		m.in = nil
	}
}

// Close closes all files.
func (r *Reader) Close() error {
	for _, m := range r.all {
		if m.in != nil {
			m.in.Close()
			m.in = nil
		}
	}
	r.open, r.waiting, r.given = nil, nil, nil
	return nil
}

// Stats gives the counters.
func (r *Reader) Stats() Stats {
	s := Stats{Packets: r.packets.Load(), Bytes: r.bytes.Load()}
	for _, m := range r.all {
		s.OtherLink += m.stats.otherLink.Load()
		s.Dropped += m.stats.dropped.Load()
	}
	return s
}

// Progress is how many bytes of the files were read, as on the disk, and how many there are.
// total is 0 if it is unknown because a file is a pipe.
func (r *Reader) Progress() (read, total int64) {
	known := true
	for _, m := range r.all {
		read += m.read.Load()
		total += m.size
		known = known && m.size > 0
	}
	if !known {
		total = 0
	}
	return read, total
}
