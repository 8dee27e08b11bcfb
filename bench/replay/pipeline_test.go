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
	"netmirror/pipeline"
	"netmirror/service"
	"netmirror/source"
	"netmirror/source/sourcetest"
	"netmirror/stack"
	"netmirror/target/targettest"
)

// batchFrames is how many full frames a block of the capture ring has.
const batchFrames = 160

// totalBytes is the default of --total-mib.
const totalBytes = 512 << 20

// replay is a pipeline that gets its frames from memory.
type replay struct {
	b *testing.B
	*pipeline.Pipeline
	memory *sourcetest.Memory
	frames [][]byte
}

// newReplay forwards services, one where none is given, to the target.
func newReplay(b *testing.B, target net.Addr, selections ...service.Selection) *replay {
	b.Helper()
	if len(selections) == 0 {
		selections = []service.Selection{selection(vni, servicePort)}
	}
	services := make([]pipeline.Service, len(selections))
	for i, s := range selections {
		services[i] = pipeline.Service{Selection: s, Target: bridge.Config{Target: target.String()}}
	}
	p, err := pipeline.New(pipeline.Config{
		Services:   services,
		MaxConns:   20_000,
		Stack:      stack.Config{MaxFlows: 20_000, MaxStubs: 65_536},
		TotalBytes: totalBytes, AllCores: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	r := &replay{b: b, Pipeline: p, memory: sourcetest.New(source.Ethernet, source.Wall)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx, nil, r.memory) }()
	b.Cleanup(func() {
		cancel() // with no patience, what is left is cut off
		if err := <-ended; err != nil {
			b.Error(err)
		}
		if err := p.Close(); err != nil {
			b.Error(err)
		}
	})
	return r
}

func selection(vni uint32, port uint16) service.Selection {
	return service.Selection{VNIs: service.VNIsOf(vni), Ports: service.PortsOf(port)}
}

// inject has the pipeline take a batch, which all has to be ours, and returns when it
// has.
func (r *replay) inject(frames []frame) {
	r.frames = r.frames[:0]
	for _, f := range frames {
		r.frames = append(r.frames, f)
	}
	r.memory.Give(time.Now(), r.frames)
}

func (r *replay) stats() stack.Stats {
	s := r.Snapshot()
	for reason, n := range s.Decap {
		if n > 0 {
			r.b.Fatalf("%d frames were dropped: %v", n, decap.Reason(reason))
		}
	}
	return s.Stack
}

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
	targettest.Serve(b, ln, s.swallow)
	return s
}

var buffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

func (s *sink) swallow(c net.Conn) {
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
