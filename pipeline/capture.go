package pipeline

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"netmirror/decap"
	"netmirror/filter"
	"netmirror/sleeper"
	"netmirror/source"
	"netmirror/stack"
)

// captureAll captures until the sources are stopped and empty. Only then no stack
// gets anything any more.
func (p *Pipeline) captureAll() error {
	defer func() {
		p.outer.flush()
		p.parts.flush()
		for _, st := range p.stacks {
			st.Shutdown()
		}
	}()
	var group errgroup.Group
	loops := make([]*loop, len(p.all()))
	for i := range loops {
		loops[i] = &loop{batches: make([][]stack.Segment, len(p.stacks))}
	}
	p.loops.Store(&loops)
	for i, src := range p.all() {
		group.Go(func() error {
			err := p.capture(src, loops[i])
			if err != nil {
				p.stop() // one that fails ends all
			}
			return err
		})
	}
	return group.Wait()
}

// capture takes the frames of one source to the stacks until the source is stopped
// and empty. The kernel distributes frames among the sources by connection. Frames
// whose connection it cannot tell are in the first source. Frames that were captured
// as one packet are all where the first of them belongs.
func (p *Pipeline) capture(src source.Source, c *loop) error {
	for {
		frames, err := src.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		start := src.Start()
		if start != source.Ethernet && !start.Encap().OverUDP() {
			return fmt.Errorf("pipeline: frames that begin with a header of %v cannot be decoded", start)
		}
		p.batch(src, frames, start, c)
	}
}

// batch takes frames, which src has returned last, to the stacks.
func (p *Pipeline) batch(src source.Source, frames [][]byte, start source.Start, c *loop) {
	at, stamped := p.clock.follow(src)
	now, age := time.Now(), time.Duration(0)
	bytes := p.sort(p.tableFor(c), frames, start, c)
	if stamped {
		p.injectAsOf(c, at)
	} else {
		now = time.Now()
		age = p.inject(c, src, bytes, now)
	}
	c.table.Store(nil)
	p.cores.Batch(&c.load, bytes, age, src.More(), now)
	for _, st := range p.stacks {
		st.AwaitAccepts()
	}
}

// loop is what a capture loop keeps from batch to batch.
type loop struct {
	table   atomic.Pointer[table] // used for the batch at hand; nil: there is none
	load    sleeper.Load
	batches [][]stack.Segment // for each worker
	packet  decap.Packet
	joined  []byte // packets of the batch that came in fragments

	together int // bytes of the frames whose segments gVisor gets together
}

// maxTogether bounds loop.together: more bytes gain little.
const maxTogether = 256 << 10

// sort decodes frames and sorts them by the workers that they belong to. It returns
// how many bytes they are.
func (p *Pipeline) sort(t *table, frames [][]byte, start source.Start, c *loop) (bytes int) {
	for i := range c.batches {
		c.batches[i] = c.batches[i][:0]
	}
	c.joined = c.joined[:0]
	p.counts.frames.Add(uint64(len(frames)))
	read := p.clock.now()
	for _, frame := range frames {
		bytes += len(frame)
		if !p.decode(t.decoder, frame, start, &c.packet, &c.joined) {
			continue
		}
		to := 0
		if len(c.batches) > 1 {
			to = p.owner(&c.packet, read)
		}
		c.batches[to] = p.toServices(t.services, c.batches[to], &c.packet)
	}
	return bytes
}

// maxAge is longer than a packet waits in a source: what is older is a step of the
// wall's clock, by which the kernel stamps it.
const maxAge = 10 * time.Second

// inject gives the batch at hand to the stacks. It returns how long ago the batch was
// captured.
func (p *Pipeline) inject(c *loop, src source.Source, bytes int, now time.Time) (age time.Duration) {
	age = min(max(now.Sub(src.BatchTime()), 0), maxAge) // by the wall's clock
	inject := (*stack.Stack).InjectAt
	if c.together += bytes; c.together < maxTogether && src.More() {
		inject = (*stack.Stack).InjectBefore
	} else {
		c.together = 0
	}
	for i, batch := range c.batches {
		inject(p.stacks[i], batch, now.Add(-age))
	}
	return age
}

// injectAsOf gives the batch at hand to the stacks, for which no time passes but that
// of the frames' stamps.
func (p *Pipeline) injectAsOf(c *loop, at time.Time) {
	for _, st := range p.stacks {
		st.Advance(at)
	}
	for i, batch := range c.batches {
		p.stacks[i].InjectAt(batch, at)
	}
}

// decode takes the encapsulation off a frame. If the frame is the last missing fragment
// of a datagram, decode appends the joined datagram to memory. It is false if there is no
// packet to go on with, and counts why.
func (p *Pipeline) decode(decoder *decap.Decoder, frame []byte, start source.Start, packet *decap.Packet, memory *[]byte) bool {
	reason := decap.OK
	if start == source.Ethernet {
		reason = decoder.Decode(frame, packet)
	} else {
		reason = decoder.DecodePayload(start.Encap(), frame, packet)
	}
	if reason == decap.OuterFragment {
		if frame = p.outer.joinFrame(frame, memory); frame == nil {
			return false
		}
		reason = decoder.Decode(frame, packet)
	}
	if reason == decap.InnerFragment {
		if !p.parts.join(packet, memory) {
			return false
		}
		reason = decoder.DecodeIP(packet.VNI, packet.IP, packet)
	}
	if reason != decap.OK {
		p.counts.reasons[reason].Add(1)
		return false
	}
	return true
}

// owner is the worker that a packet's connection belongs to. The first one has all MPTCP
// connections: the addresses of a subflow do not tell which connection it is part of.
func (p *Pipeline) owner(packet *decap.Packet, now time.Time) int {
	if p.paths.Multipath(&stack.Segment{VNI: packet.VNI, IP: packet.IP, TCP: packet.TCP}, now) {
		return 0
	}
	return owner(packet, len(p.stacks))
}

// owner is the worker that a packet's TCP connection belongs to.
func owner(p *decap.Packet, workers int) int {
	h := filter.FlowHash(ends(p.IP, p.TCP))
	return int(h % uint32(workers))
}
