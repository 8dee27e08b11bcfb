package stack

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"netmirror/budget"
	"netmirror/outcome"
	"netmirror/stack/netstack"
)

// Config says which connections to rebuild and what they may cost. The zero
// value of every field is its default.
type Config struct {
	// Services are indexed by Segment.Service; SetService adds more. Empty means one
	// service with the defaults.
	Services []Service

	// MaxFlows bounds the connections followed at a time (default 20000).
	// Beyond it, a new flow evicts one with less evidence of being real, or one of a
	// client with more than its share; otherwise the new one is dropped.
	MaxFlows int
	// MaxStubs bounds what is remembered of connections without a flow:
	// unproven SYNs and ended connections (default 65536). The oldest are forgotten.
	MaxStubs int
	// FlowBytes bounds the bytes held for one flow that gVisor has not taken
	// (default 4 MiB); the flow is reset beyond it.
	FlowBytes int
	// ReceiveBuffer bounds the bytes of one flow that gVisor holds until they are read
	// (default 256 KiB). They come on top of FlowBytes, among which further bytes wait.
	ReceiveBuffer int
	// TotalBytes bounds the memory of all flows (default 256 MiB): FlowMemory for each,
	// and the bytes held for them and their readers, which always get at least a
	// quarter. Beyond it, the flows that hold most are reset.
	TotalBytes int
	// Budget, if not nil, is the memory and the flows that several stacks share. The
	// flows that hold most are reset, whichever stack has them. TotalBytes then only
	// bounds strays, to an eighth of it. MaxFlows is this stack's share; it may use more
	// if the others leave some.
	Budget *budget.Shared

	// Checksums says which damaged segments are dropped.
	Checksums Checksums

	// MaxPending is how many packets may wait behind a hole; with more, the hole is
	// given up after Grace (default 50 ms), which every late packet gets. 0 means 128,
	// below 0 none.
	MaxPending int
	Grace      time.Duration
	// GapTimeout is when a hole is given up at the latest (default 1 s).
	GapTimeout time.Duration
	// IdleTimeout is when a flow without a packet is reset (default 10 min).
	IdleTimeout time.Duration

	// CaughtUp returns the time, by Now, up to which every captured packet has been
	// injected. A hole that was found after that may still be filled by packets not yet
	// injected; the stack waits for them, for GapTimeout at most. It is called at most
	// once per tick. nil: nothing waits to be injected.
	CaughtUp func() time.Time

	// Latency is called with the time that bytes took from their capture, as given to
	// InjectAt, until the reader asks for more after having read them. One byte at a time
	// is measured on each connection. Any goroutine may call it; it must not block. nil:
	// not measured.
	Latency func(time.Duration)

	Logger *slog.Logger     // nil: none
	Now    func() time.Time // nil: time.Now; see Advance
}

func (c *Config) setDefaults() {
	setDefault(&c.MaxFlows, 20000)
	setDefault(&c.MaxStubs, 65536)
	setDefault(&c.FlowBytes, 4<<20)
	setDefault(&c.TotalBytes, 256<<20)
	setDefault(&c.ReceiveBuffer, 256<<10)
	if c.MaxPending == 0 {
		c.MaxPending = 128
	}
	c.MaxPending = max(c.MaxPending, 0)
	setDefault(&c.Grace, 50*time.Millisecond)
	setDefault(&c.GapTimeout, time.Second)
	setDefault(&c.IdleTimeout, 10*time.Minute)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Stack follows the connections of services. TryAccept hands out
// their streams.
type Stack struct {
	cfg Config
	ns  *netstack.Stack

	wall    func() time.Time        // Config.Now
	instant atomic.Pointer[instant] // what Advance said; nil where nobody calls it
	epoch   time.Time               // what entries count their time from

	reading atomic.Pointer[[]incoming] // InjectAt's, for what read returns; nil: in use

	mu       tableLock  // guards everything down to counters
	late     []incoming // memory for what was handed over; see unpack
	services []serviceState
	gone     ServiceStats // of the services that ReleaseService has forgotten
	flows    map[flowKey]*flow
	clients  map[netstack.ClientID]*flow // flows that gVisor knows, by their virtual client
	lastID   netstack.ClientID
	nflows   int // flows in all, superseded ones included
	table    table
	stubs    *stubTable
	active   []*flow   // flows that are busy
	alert    bool      // serve looks after the flows every tick
	dozes    bool      // serve sleeps for longer than calmTick
	watched  bool      // watch was called since serve last looked
	dirty    []*flow   // flows to pump; see touch
	undone   time.Time // when the first batch that waits to be pumped came; zero: none waits
	held     int       // Σ cost of all flows
	all      *budget.Shared
	share    *budget.Holder
	others   budget.Use // what the other stacks had at the last batch
	weighed  time.Time  // when the heaviest flow was last looked for
	asked    time.Time  // when another stack was last asked to give memory up
	// lingering are the streams whose flow has ended, and which their reader has not given up.
	lingering                map[*Conn]struct{}
	now                      time.Time
	captured                 time.Time // when the batch at hand was
	idleScan                 time.Time
	serverShown              time.Time // when the mirror last showed a server's packet
	subflows                 subflows
	asidePackets, asideBytes int                // Σ of what is kept beside the streams
	caughtUp                 time.Time          // what Config.CaughtUp said in this tick; zero: not asked
	answers                  []netstack.Answer  // memory for collect
	payloads                 []netstack.Payload // of one injection
	entries                  entryPool
	spares                   []spare // oldest first
	handshakes               handshakes
	stopping                 bool
	closed                   bool // nothing may be given to gVisor any more
	counters                 counters

	waits       atomic.Bool   // the last batch waits for the one behind it
	bytesRead   atomic.Uint64 // read by the streams' readers
	bytesUnread atomic.Uint64 // in order, but the reader gave up first
	eager       atomic.Int32  // flows that wait for an answer of gVisor's
	accepts     atomic.Bool   // gVisor's listener has something

	wake     chan struct{} // holds a token when service is wanted
	answered chan struct{} // holds a token when gVisor has done something that Advance may wait for
	done     chan struct{} // closed by Close
	serving  sync.WaitGroup
	accepted acceptQueue
	closing  sync.Once
}

// New starts a stack and its goroutines; Close ends them. It fails only where gVisor's stack or
// a table cannot be set up.
func New(cfg Config) (*Stack, error) {
	cfg.setDefaults()
	stubs, err := newStubTable(cfg.MaxStubs)
	if err != nil {
		return nil, err
	}
	subflows, err := newSubflows(cfg.MaxFlows)
	if err != nil {
		return nil, err
	}
	s := &Stack{
		cfg:      cfg,
		services: newServices(cfg.Services),
		flows:    make(map[flowKey]*flow),
		clients:  make(map[netstack.ClientID]*flow),
		stubs:    stubs,
		wall:     cfg.Now,
		epoch:    cfg.Now(),
		subflows: subflows,

		lingering: make(map[*Conn]struct{}),
		wake:      make(chan struct{}, 1),
		answered:  make(chan struct{}, 1),
		done:      make(chan struct{}),
	}
	s.mu.of, s.dozes = s, true
	s.cfg.Now, stubs.epoch = s.time, &s.epoch
	s.table.init()
	s.handshakes.waiting.kind = ofHandshakes
	s.accepted.init()
	if cfg.Budget == nil {
		cfg.Budget = budget.New(cfg.TotalBytes, cfg.MaxFlows)
	}
	s.all, s.share = cfg.Budget, cfg.Budget.Join(s.signal)
	s.ns, err = netstack.New(netstack.Config{
		ReceiveBuffer: cfg.ReceiveBuffer, Backlog: 2*max(cfg.MaxFlows, s.all.Flows()) + 2,
		OnAnswer: s.hasAnswer, OnAccept: s.hasAccept,
	})
	if err != nil {
		s.share.Leave()
		return nil, err
	}
	s.serving.Add(1)
	go s.serve()
	return s, nil
}

// hasAnswer and hasAccept are called by gVisor, with Stack.mu held or not.
func (s *Stack) hasAnswer() {
	s.note()
	if s.eager.Load() > 0 {
		s.signal()
	}
}

func (s *Stack) hasAccept() {
	s.accepts.Store(true)
	s.note()
	s.signal()
}

// signal wakes serve.
func (s *Stack) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Inject takes a batch of captured segments, in the order of their capture.
// It reads them during the call only. It waits for nobody, unless another goroutine has the
// flows and as much waits for it as may be handed over (maxHandedOver, or less with a small
// TotalBytes).
func (s *Stack) Inject(batch []Segment) { s.InjectAt(batch, s.cfg.Now()) }

// InjectAt is Inject for a batch that was captured at a given time, by the clock of
// Config.Now.
func (s *Stack) InjectAt(batch []Segment, captured time.Time) { s.injectAt(batch, captured, false) }

// InjectBefore is InjectAt for a batch that another one follows at once. gVisor then gets what
// belongs together in both batches in one segment. If no batch follows, gVisor gets this one
// after 100 ms at the most.
func (s *Stack) InjectBefore(batch []Segment, captured time.Time) { s.injectAt(batch, captured, true) }

func (s *Stack) injectAt(batch []Segment, captured time.Time, more bool) {
	if len(batch) == 0 {
		s.lastIsEmpty(more)
		return
	}
	memory := s.reading.Swap(nil)
	if memory == nil {
		memory = new([]incoming)
	}
	*memory = s.read(batch, *memory)
	if s.mu.TryLock() {
		s.mu.unpack()
	} else if s.mu.handOver(batch, captured) {
		s.reading.Store(memory)
		return
	} else {
		s.mu.Lock()
	}
	s.ingest(*memory, captured)
	s.waits.Store(more)
	if more && s.mayWait() {
		s.watch() // nothing may come
	} else {
		s.pumpDirty()
	}
	s.mu.Unlock()
	s.reading.Store(memory)
}

// mayWait reports whether what has come may wait for the next batch. A row of batches does not
// last for longer than a tick.
func (s *Stack) mayWait() bool {
	if s.undone.IsZero() {
		s.undone = s.now
	}
	return s.now.Sub(s.undone) < tick
}

// lastIsEmpty is for a batch that has nothing, behind one that has waited for it.
func (s *Stack) lastIsEmpty(more bool) {
	if !more && s.waits.Load() && s.mu.TryLock() {
		s.waits.Store(false)
		s.pumpWaiting()
		s.mu.Unlock()
	}
}

// ingest takes a batch to its flows, which are to be pumped then. s.mu is held.
func (s *Stack) ingest(batch []incoming, captured time.Time) {
	now := s.cfg.Now()
	if len(s.dirty) > 0 && now.Sub(s.now) >= tick {
		s.pumpDirty() // as of when they came
	}
	s.now, s.captured = now, captured
	s.collect()
	s.shareMemory()
	s.takeBatch(batch)
}

// Shutdown says that no segment will come any more. Every stream is given
// what its client has sent so far and then ends with outcome.EndShutdown, and TryAccept
// fails with net.ErrClosed once all streams have been handed out.
func (s *Stack) Shutdown() {
	s.mu.Lock()
	s.letGo()
	s.now = s.cfg.Now()
	s.stopping = true
	s.collect()
	s.dropWaiting()
	for f := range s.allFlows() {
		s.endWhenDelivered(f, outcome.EndShutdown)
	}
	s.pumpDirty()
	s.mu.Unlock()
	s.signal()
}

// Close ends every stream at once, waits for the goroutines of the stack, and
// makes TryAccept fail with net.ErrClosed.
func (s *Stack) Close() error {
	s.closing.Do(func() {
		s.mu.Lock()
		s.stopping = true
		s.dropWaiting()
		for f := range s.allFlows() {
			s.end(f, outcome.EndShutdown, outcome.DropShutdown)
		}
		s.mu.Unlock()
		close(s.done)
		s.serving.Wait()
		s.mu.asked.Store(false)
		s.mu.Lock()
		s.share.Leave()
		s.closed = true
		s.mu.Unlock()
		s.accepted.close()
		s.dropSpares()
		s.ns.Close()
	})
	return nil
}

// TryAccept returns the next stream; nil and nil where there is none yet. The error is
// net.ErrClosed after Close, or when the last stream has been handed out after Shutdown.
func (s *Stack) TryAccept() (outcome.Stream, error) { return s.accepted.get() }

// AwaitAccepts waits for 10 ms at most if more than 1024 streams wait for TryAccept. Whoever
// injects calls it between two batches. While the bridge is far behind, packets are better
// left in the ring: a waiting stream keeps its memory when its flow ends, and that memory
// cannot be taken back.
func (s *Stack) AwaitAccepts() { s.accepted.await() }

// OnStream registers f, which is called when TryAccept, after it had nothing, may have a
// stream. f may be called by any goroutine and with any locks held, so it must not block,
// and must not call methods of the Stack. It is not called for streams that came before.
func (s *Stack) OnStream(f func()) {
	s.accepted.mu.Lock()
	defer s.accepted.mu.Unlock()
	s.accepted.news = f
}

var _ outcome.Stream = (*Conn)(nil)
