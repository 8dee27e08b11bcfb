// Package replay measures netmirror's own stages, without a kernel's mirror and
// capture in front of them: frames from memory through decap, stack and bridge
// to a target on loopback, as fast as they are taken.
package replay

import (
	"io"
	"net"
	"testing"

	"golang.org/x/sync/errgroup"

	"netmirror/outcome"
	"netmirror/stack"
)

// opening is the handshake of the n-th client, whose first byte has sequence
// number 1.
func opening(n uint32) []frame {
	ackFrame := newFrame(n, ack, nil)
	ackFrame.setSeq(1)
	return []frame{newFrame(n, syn, nil), ackFrame}
}

const bulkFlows = 8

// BenchmarkBulk is 1460-byte segments of eight clients in turn, and the same
// bytes from a sender that has them at hand. b.N counts segments.
func BenchmarkBulk(b *testing.B) {
	const segment = 1460
	payload := make([]byte, segment)
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	b.Run("netmirror", func(b *testing.B) {
		target := newSink(b)
		p := newPipeline(b, target.Addr())
		// 16 MB of them, so that they are not at hand in the processor's own
		// cache, as those that the kernel captures are not.
		frames := make([]frame, 64*batchFrames)
		for i := range frames {
			frames[i] = newFrame(uint32(i%bulkFlows), ack|psh, payload)
		}
		for n := range uint32(bulkFlows) {
			p.inject(opening(n))
		}
		b.SetBytes(segment)
		b.ReportAllocs()
		b.ResetTimer()
		for sent := 0; sent < b.N; {
			at := sent % len(frames)
			batch := frames[at : at+min(batchFrames, b.N-sent)]
			for i, f := range batch {
				f.setSeq(1 + uint32((sent+i)/bulkFlows*segment))
			}
			p.inject(batch)
			sent += len(batch)
			if st := p.stack.Stats(); st.BytesHeld > 4<<20 {
				await(func() bool { return p.stack.Stats().BytesHeld <= 2<<20 })
			}
		}
		p.delivered(target, int64(b.N)*segment)
	})
	b.Run("plain", func(b *testing.B) {
		target := newSink(b)
		b.SetBytes(segment)
		b.ResetTimer()
		var senders errgroup.Group
		for i := range bulkFlows {
			senders.Go(func() error {
				return sendPlain(target.Addr(), (b.N+i)/bulkFlows*segment)
			})
		}
		if err := senders.Wait(); err != nil {
			b.Fatal(err)
		}
		await(func() bool { return target.bytes.Load() == int64(b.N)*segment })
	})
}

// sendPlain sends so many bytes on a connection of its own.
func sendPlain(to net.Addr, size int) error {
	c, err := net.Dial("tcp4", to.String())
	if err != nil {
		return err
	}
	defer c.Close()
	buf := make([]byte, 64<<10)
	for size > 0 {
		n, err := c.Write(buf[:min(len(buf), size)])
		if err != nil {
			return err
		}
		size -= n
	}
	return nil
}

// delivered waits until the target has all bytes, which none may be lost of.
func (p *pipeline) delivered(target *sink, want int64) {
	p.b.Helper()
	await(func() bool {
		st := p.stack.Stats()
		return target.bytes.Load() == want || lost(&st) > 0
	})
	st := p.stack.Stats()
	if n := lost(&st); n > 0 || target.bytes.Load() != want {
		p.b.Fatalf("%d of %d bytes came, %d packets were lost: %+v", target.bytes.Load(), want, n, st)
	}
}

// lost counts the packets that were dropped though nobody may miss one here.
func lost(st *stack.Stats) (n uint64) {
	for d, dropped := range st.Dropped {
		if outcome.Drop(d) != outcome.DropNoPayload {
			n += dropped
		}
	}
	return n
}

// BenchmarkConnections is clients that connect, send a request of 400 bytes and
// close, and the same from a plain sender.
func BenchmarkConnections(b *testing.B) {
	const each, atOnce = batchFrames / 4, 1000
	request := make([]byte, 400)
	b.Run("netmirror", func(b *testing.B) {
		target := newSink(b)
		p := newPipeline(b, target.Addr())
		var frames []frame
		for range each {
			frames = append(frames, opening(0)...)
			data, end := newFrame(0, ack|psh, request), newFrame(0, ack|fin, nil)
			data.setSeq(1)
			end.setSeq(1 + uint32(len(request)))
			frames = append(frames, data, end)
		}
		b.ReportAllocs()
		b.ResetTimer()
		busy := func() int { return p.stack.Stats().Flows + int(p.bridge.Stats().Open) }
		for sent := 0; sent < b.N; {
			batch := frames[:4*min(each, b.N-sent)]
			for i, f := range batch {
				f.setClient(uint32(sent + i/4))
			}
			p.inject(batch)
			sent += len(batch) / 4
			if busy() > atOnce {
				await(func() bool { return busy() <= atOnce/2 })
			}
		}
		p.delivered(target, int64(b.N*len(request)))
		await(func() bool { return busy() == 0 })
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "conns/s")
		if st := p.bridge.Stats(); st.Outcomes[outcome.EndComplete] != uint64(b.N) {
			b.Errorf("of %d connections: %v", b.N, st.Outcomes)
		}
	})
	b.Run("plain", func(b *testing.B) {
		target := newSink(b)
		b.ResetTimer()
		var clients errgroup.Group
		clients.SetLimit(16)
		for range b.N {
			clients.Go(func() error { return requestPlain(target.Addr(), request) })
		}
		if err := clients.Wait(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "conns/s")
	})
}

func requestPlain(to net.Addr, request []byte) error {
	c, err := net.Dial("tcp4", to.String())
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write(request); err != nil {
		return err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, c)
	return err
}

// BenchmarkAcks is the client's half of downloads: 49 pure acknowledgements, and
// then a request of 400 bytes. b.N counts packets.
func BenchmarkAcks(b *testing.B) {
	const every, size = 50, 400
	b.Run("netmirror", func(b *testing.B) {
		c := newCapture(b)
		d := newDownloads(every, size)
		for n := range uint32(bulkFlows) {
			c.inject(opening(n))
			conn, err := c.stack.Accept()
			if err != nil {
				b.Fatal(err)
			}
			go io.Copy(io.Discard, struct{ io.Reader }{conn.(io.Reader)})
		}
		before := c.stack.Stats()
		b.ReportAllocs()
		b.ResetTimer()
		for sent := 0; sent < b.N; sent += batchFrames {
			c.inject(d.next(min(batchFrames, b.N-sent)))
		}
		b.StopTimer()
		await(func() bool { return c.stack.Stats().BytesHeld == 0 })
		st := c.stack.Stats()
		acks := uint64(b.N - b.N/every)
		if n := st.Dropped[outcome.DropNoPayload] - before.Dropped[outcome.DropNoPayload]; n != acks || lost(&st) > 0 {
			b.Errorf("%d of %d acknowledgements were not injected: %+v", n, acks, st)
		}
	})
	b.Run("decap", func(b *testing.B) {
		c := newCapture(b)
		d := newDownloads(every, size)
		for sent := 0; sent < b.N; sent += batchFrames {
			c.decode(d.next(min(batchFrames, b.N-sent)))
		}
	})
}

// downloads makes the packets of clients that download, in turn.
type downloads struct {
	every, size int
	acks, data  []frame // of each client
	sent        int
	seqs        [bulkFlows]uint32
	batch       []frame
}

func newDownloads(every, size int) *downloads {
	d := &downloads{every: every, size: size}
	for i := range batchFrames {
		d.acks = append(d.acks, newFrame(uint32(i%bulkFlows), ack, nil))
		d.data = append(d.data, newFrame(uint32(i%bulkFlows), ack|psh, make([]byte, size)))
	}
	for i := range d.seqs {
		d.seqs[i] = 1
	}
	return d
}

// next is valid until it is called again.
func (d *downloads) next(n int) []frame {
	d.batch = d.batch[:0]
	for i := range n {
		client := i % bulkFlows
		d.sent++
		f := d.acks[i]
		if d.sent%d.every == 0 {
			f = d.data[i]
		}
		f.setSeq(d.seqs[client])
		f.setAck(uint32(d.sent) * 2920)
		if d.sent%d.every == 0 {
			d.seqs[client] += uint32(d.size)
		}
		d.batch = append(d.batch, f)
	}
	return d.batch
}
