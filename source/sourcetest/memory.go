// Package sourcetest has a source for tests and benchmarks, whose frames come from
// memory.
package sourcetest

import (
	"io"
	"sync"
	"time"

	"netmirror/source"
)

// Memory is a source whose frames are given to it.
type Memory struct {
	start   source.Start
	clock   source.Clock
	batches chan batch
	taken   chan struct{} // the reader is done with a batch
	end     chan struct{} // closed by Stop
	stop    sync.Once
	current batch
	held    bool // current is in the reader's hands
}

type batch struct {
	frames [][]byte
	at     time.Time
}

// New makes a source of frames that begin with start.
func New(start source.Start, clock source.Clock) *Memory {
	return &Memory{start: start, clock: clock, batches: make(chan batch), taken: make(chan struct{}), end: make(chan struct{})}
}

// Give has Next return frames that arrived at a time. It reports true when their
// reader is done with them, and false after Stop.
func (m *Memory) Give(at time.Time, frames [][]byte) bool {
	select {
	case m.batches <- batch{frames, at}:
	case <-m.end:
		return false
	}
	select {
	case <-m.taken:
		return true
	case <-m.end:
		return false
	}
}

// Next implements source.Source.
func (m *Memory) Next() ([][]byte, error) {
	if m.held {
		m.held = false
		select {
		case m.taken <- struct{}{}:
		case <-m.end:
		}
	}
	select {
	case <-m.end:
		return nil, io.EOF
	case m.current = <-m.batches:
		m.held = true
		return m.current.frames, nil
	}
}

// Start implements source.Source.
func (m *Memory) Start() source.Start { return m.start }

// BatchTime implements source.Source.
func (m *Memory) BatchTime() time.Time { return m.current.at }

// More implements source.Source: nothing ever waits.
func (m *Memory) More() bool { return false }

// Clock implements source.Source.
func (m *Memory) Clock() source.Clock { return m.clock }

// CaughtUp implements source.Source.
func (m *Memory) CaughtUp(now time.Time) time.Time { return now }

// Stats implements source.Source: nothing is counted.
func (m *Memory) Stats() source.Stats { return source.Stats{} }

// Stop implements source.Source.
func (m *Memory) Stop() { m.stop.Do(func() { close(m.end) }) }

// Close implements source.Source.
func (m *Memory) Close() error {
	m.Stop()
	return nil
}
