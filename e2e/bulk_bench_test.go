package e2e

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"netmirror/e2e/lab"
)

// bulk is streams that are sent at once. Each begins with its number and then
// has content, over and over, from a place of its own on.
type bulk struct {
	streams int
	each    int // bytes of a stream, its number included
	content []byte

	mu       sync.Mutex // guards the fields below
	got      int64      // bytes that came, of all streams
	right    int        // streams that came whole
	reset    int        // streams that came in part, and with a reset
	problems []string
}

func newBulk(streams, total int) *bulk {
	content := make([]byte, 1_000_003)
	lab.Body(0).Read(content)
	return &bulk{streams: streams, each: total / streams, content: content}
}

// at gives some of what stream n has from byte off on.
func (k *bulk) at(n, off, most int) []byte {
	from := (off + n*100_003) % len(k.content)
	return k.content[from:min(len(k.content), from+min(most, k.each-off))]
}

const bulkHeader = 8 // bytes of a stream's number

// send sends all streams and returns when the origin has taken them.
func (k *bulk) send(b *testing.B, s *scene) {
	b.Helper()
	var senders errgroup.Group
	for n := range k.streams {
		senders.Go(func() error {
			c, err := s.Cli.Dial(s.ctx, s.Origin(servicePort))
			if err != nil {
				return err
			}
			defer c.Close()
			return k.sendStream(c, n)
		})
	}
	if err := senders.Wait(); err != nil {
		b.Fatalf("lab: %v", err)
	}
}

func (k *bulk) sendStream(c *net.TCPConn, n int) error {
	if _, err := c.Write(binary.BigEndian.AppendUint64(nil, uint64(n))); err != nil {
		return err
	}
	for off := bulkHeader; off < k.each; {
		n, err := c.Write(k.at(n, off, 256<<10))
		if err != nil {
			return err
		}
		off += n
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, c) // the origin closes when it has all
	return err
}

// swallow is the origin: it throws away what comes, uncopied.
func swallow(c *lab.Conn, _ <-chan struct{}) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	scratch := make([]byte, 1<<20)
	for n := 1; err == nil && n > 0; {
		var rerr error
		err = raw.Read(func(fd uintptr) bool {
			n, _, rerr = unix.Recvfrom(int(fd), scratch, unix.MSG_TRUNC|unix.MSG_DONTWAIT)
			return !errors.Is(rerr, unix.EAGAIN)
		})
		err = errors.Join(err, rerr)
	}
}

// check is the shadow service: it compares a stream with what was sent.
func (k *bulk) check(c *lab.Conn, _ <-chan struct{}) {
	header := make([]byte, bulkHeader)
	if _, err := io.ReadFull(c.TCPConn, header); err != nil {
		k.ended(0, err, "")
		return
	}
	n := int(binary.BigEndian.Uint64(header))
	buf, problem := make([]byte, 256<<10), ""
	for off := bulkHeader; ; {
		got, err := c.TCPConn.Read(buf)
		k.mu.Lock()
		k.got += int64(got)
		k.mu.Unlock()
		for rest := buf[:got]; len(rest) > 0 && problem == ""; {
			want := k.at(n, off, len(rest))
			if len(want) == 0 || !bytes.Equal(rest[:len(want)], want) {
				problem = "its bytes are others"
			}
			off += len(want)
			rest = rest[len(want):]
		}
		if err != nil {
			k.ended(off, err, problem)
			return
		}
	}
}

// ended notes how a stream ended behind off bytes.
func (k *bulk) ended(off int, err error, problem string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case problem == "" && errors.Is(err, unix.ECONNRESET):
		k.reset++
	case problem == "" && off == k.each:
		k.right++
	case problem == "":
		problem = "it ended in order"
	}
	if problem != "" {
		k.problems = append(k.problems, problem)
	}
}

func (k *bulk) received() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.got
}

func (k *bulk) allEnded() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.right+k.reset+len(k.problems) == k.streams
}

// BenchmarkStreams measures what is used of the processor for bulk data, and what
// of it comes. Unpaced, the clients send what the lab can carry, and netmirror has
// what that leaves of the machine.
func BenchmarkStreams(b *testing.B) {
	const megabit, unpaced = 1_000_000, 100_000_000_000
	one, two, udp := netmirrorWith("netmirror", oneWorker...), netmirrorWith("2 workers", twoWorkers...), netmirrorWith("udp", overUDP...)
	for _, bb := range []struct {
		name     string
		streams  int
		rate     uint64 // bit/s
		size     int    // bytes of all
		besides  []subject
		compared bool // with the floor
	}{
		{"1 at 400 Mbit", 1, 400 * megabit, 125_000_000, nil, true},
		{"8 at 1 Gbit", 8, 1000 * megabit, 250_000_000, []subject{two, udp}, true},
		{"1 at 1 Gbit", 1, 1000 * megabit, 250_000_000, nil, true},
		{"8 at 4 Gbit", 8, 4000 * megabit, 500_000_000, nil, false},
		{"8 unpaced", 8, unpaced, 500_000_000, nil, false},
	} {
		b.Run(bb.name, func(b *testing.B) {
			measure := func(b *testing.B, p subject) {
				measureBulk(b, lab.Options{Rate: bb.rate}, newBulk(bb.streams, bb.size), p)
			}
			if bb.compared {
				besideFloor(b, measure, bb.besides...)
			} else {
				eachOf(b, measure, one)
			}
		})
	}
}

func measureBulk(b *testing.B, opts lab.Options, k *bulk, p subject) {
	s := stage(b, opts, swallow)
	s.play(b, k.check, p)
	before, begin := s.netmirror.cpu(b), time.Now()
	k.send(b, s)
	took := time.Since(begin)
	settled(k.allEnded, k.received)
	used := s.netmirror.cpu(b) - before
	figures := s.end(b, p, k.streams-k.right)
	if !p.stranger {
		for _, problem := range k.problems {
			b.Errorf("a stream was altered, %s: %v", problem, figures)
		}
		b.ReportMetric(float64(figures["kernel_drops"]), "drops")
	}
	b.ReportMetric(used.Seconds()/(float64(k.received())/1e9), "cpu-s/GB")
	b.ReportMetric(float64(k.streams*k.each)*8/1e9/took.Seconds(), "Gbit/s")
	b.ReportMetric(float64(k.right), "right")
	b.ReportMetric(float64(k.reset), "reset")
}
