// Package replay measures netmirror's pipeline, without a kernel's mirror and
// capture in front of it: frames from memory to a target on loopback, as fast as they
// are taken.
package replay

import (
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"netmirror/decap"
	"netmirror/outcome"
	"netmirror/service"
	"netmirror/service/servicetest"
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
		bulk(b, target, newReplay(b, target.Addr()), payload)
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

// bulk plays segments with a payload.
func bulk(b *testing.B, target *sink, p *replay, payload []byte) {
	b.Helper()
	segment := len(payload)
	// 16 MB of them, so that they are not at hand in the processor's own
	// cache, as those that the kernel captures are not.
	frames := make([]frame, 64*batchFrames)
	for i := range frames {
		frames[i] = newFrame(uint32(i%bulkFlows), ack|psh, payload)
	}
	for n := range uint32(bulkFlows) {
		p.inject(opening(n))
	}
	b.SetBytes(int64(segment))
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
		p.keepUp(target, int64(sent)*int64(segment))
	}
	p.delivered(target, int64(b.N)*int64(segment))
}

// BenchmarkServices is the segments of BenchmarkBulk where there are one, and 50
// services, of which they are one's: of 50 ports, or of 50 networks. Besides the time
// it gives the CPU time of a segment.
func BenchmarkServices(b *testing.B) {
	payload := make([]byte, 1460)
	for name, of := range map[string]func(i int) service.Selection{
		"1":           nil,
		"50 ports":    func(i int) service.Selection { return selection(vni, servicePort+uint16(i)) },
		"50 networks": func(i int) service.Selection { return selection(vni+uint32(i), servicePort) },
	} {
		b.Run(name, func(b *testing.B) {
			target := newSink(b)
			all := []service.Selection{selection(vni, servicePort)}
			for i := 1; of != nil && i < 50; i++ {
				all = append(all, of(i))
			}
			p := newReplay(b, target.Addr(), all...)
			before := cpuTime(b)
			bulk(b, target, p, payload)
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpuTime is what the process has taken so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
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

// keepUp waits where the target has far less than what was sent. It looks at the target
// alone: a look at all figures costs more the more services there are.
func (p *replay) keepUp(target *sink, sent int64) {
	p.b.Helper()
	behind := func() int64 { return sent - target.bytes.Load() }
	if behind() <= 4<<20 {
		return
	}
	began := time.Now()
	await(func() bool {
		if time.Since(began) > 10*time.Second {
			p.b.Fatalf("%d bytes do not come: %+v", behind(), p.stats())
		}
		return behind() <= 2<<20
	})
}

// delivered waits until the target has all bytes, which none may be lost of.
func (p *replay) delivered(target *sink, want int64) {
	p.b.Helper()
	await(func() bool {
		st := p.stats()
		return target.bytes.Load() == want || lost(&st) > 0
	})
	st := p.stats()
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
		p := newReplay(b, target.Addr())
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
		busy := func() int {
			s := p.Snapshot()
			return s.Stack.Flows + int(s.Bridge.Open)
		}
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
		if st := p.Snapshot().Bridge; st.Outcomes[outcome.EndComplete] != uint64(b.N) {
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

// BenchmarkAcks is the client's half of downloads: 999 pure acknowledgements, and
// then a request of 400 bytes. b.N counts packets.
func BenchmarkAcks(b *testing.B) {
	const every, size = 1000, 400
	b.Run("netmirror", func(b *testing.B) {
		p := newReplay(b, newSink(b).Addr())
		d := newDownloads(every, size)
		for n := range uint32(bulkFlows) {
			p.inject(opening(n))
		}
		await(func() bool { return p.stats().FlowsOpened == bulkFlows })
		before := p.stats()
		b.ReportAllocs()
		b.ResetTimer()
		for sent := 0; sent < b.N; sent += batchFrames {
			p.inject(d.next(min(batchFrames, b.N-sent)))
		}
		b.StopTimer()
		await(func() bool { return p.stats().BytesHeld == 0 })
		st := p.stats()
		acks := uint64(b.N - b.N/every)
		if n := st.Dropped[outcome.DropNoPayload] - before.Dropped[outcome.DropNoPayload]; n != acks || lost(&st) > 0 {
			b.Errorf("%d of %d acknowledgements were not injected: %+v", n, acks, st)
		}
	})
	b.Run("decap", func(b *testing.B) {
		decoder, err := decap.New(decap.Config{Services: servicetest.Only(servicePort, vni)})
		if err != nil {
			b.Fatal(err)
		}
		var packet decap.Packet
		d := newDownloads(every, size)
		for sent := 0; sent < b.N; sent += batchFrames {
			for _, f := range d.next(min(batchFrames, b.N-sent)) {
				if r := decoder.Decode(f, &packet); r != decap.OK {
					b.Fatalf("a frame was dropped: %v", r)
				}
			}
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
