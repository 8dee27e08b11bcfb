package replay

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"netmirror/bridge"
	"netmirror/decap"
	"netmirror/stack"
)

// batchFrames is how many full frames a block of the capture ring has.
const batchFrames = 160

// pipeline is decap, stack and bridge, wired as main wires them.
type pipeline struct {
	*capture
	bridge *bridge.Bridge
}

// capture is the part of the pipeline that the capture loop is.
type capture struct {
	b       *testing.B
	decoder *decap.Decoder
	stack   *stack.Stack
	packet  decap.Packet
	batch   []stack.Segment
}

func newCapture(b *testing.B) *capture {
	b.Helper()
	d, err := decap.New(decap.Config{VNIs: []uint32{vni}, Port: servicePort})
	if err != nil {
		b.Fatal(err)
	}
	s, err := stack.New(stack.Config{Port: servicePort, VNIs: []uint32{vni}, TotalBytes: 360 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return &capture{b: b, decoder: d, stack: s}
}

func newPipeline(b *testing.B, target net.Addr) *pipeline {
	b.Helper()
	p := &pipeline{capture: newCapture(b)}
	var err error
	if p.bridge, err = bridge.New(bridge.Config{Target: target.String(), MaxConns: 20_000}); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- p.bridge.Serve(ctx, p.stack) }()
	b.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			b.Error(err)
		}
	})
	return p
}

// decode takes the encapsulation off a batch, which all has to be ours.
func (c *capture) decode(frames []frame) []stack.Segment {
	c.batch = c.batch[:0]
	for _, f := range frames {
		if r := c.decoder.Decode(f, &c.packet); r != decap.OK {
			c.b.Fatalf("a frame was dropped: %v", r)
		}
		c.batch = append(c.batch, stack.Segment(c.packet))
	}
	return c.batch
}

// inject is what the capture loop does with a batch.
func (c *capture) inject(frames []frame) { c.stack.Inject(c.decode(frames)) }

// await polls until ok. A replay, unlike a mirror, can wait for those behind it.
func await(ok func() bool) {
	for !ok() {
		time.Sleep(50 * time.Microsecond)
	}
}

// sink is a target that reads everything and answers nothing.
type sink struct {
	net.Listener
	bytes atomic.Int64 // received
}

func newSink(b *testing.B) *sink {
	b.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &sink{Listener: ln}
	b.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go s.swallow(c)
		}
	}()
	return s
}

var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

func (s *sink) swallow(c net.Conn) {
	defer c.Close()
	buf := buffers.Get().(*[64 << 10]byte)
	defer buffers.Put(buf)
	for {
		n, err := c.Read(buf[:])
		s.bytes.Add(int64(n))
		if err != nil {
			return
		}
	}
}
