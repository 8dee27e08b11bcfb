package bridge

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func TestNewSaysWhatIsWrong(t *testing.T) {
	for _, row := range []struct {
		name   string
		config Config
		says   string
	}{
		{"nothing", Config{}, "port is missing"},
		{"port missing", Config{Target: "shadow"}, "port is missing; write HOST:PORT"},
		{"host missing", Config{Target: ":80"}, "host is missing"},
		{"port empty", Config{Target: "shadow:"}, "number from 1 to 65535"},
		{"port zero", Config{Target: "shadow:0"}, "number from 1 to 65535"},
		{"port too large", Config{Target: "shadow:65536"}, "number from 1 to 65535"},
		{"port a name", Config{Target: "shadow:http"}, "number from 1 to 65535"},
		{"port signed", Config{Target: "shadow:+80"}, "number from 1 to 65535"},
		{"IPv6 without brackets", Config{Target: "2001:db8::1"}, "[2001:db8::1]:80"},
		{"IPv6 without port", Config{Target: "[2001:db8::1]"}, "port is missing"},
		{"a URL of HTTP", Config{Target: "http://shadow:80"}, "forwarded as bytes"},
		{"negative time", Config{Target: "shadow:80", WriteTimeout: -1}, "WriteTimeout"},
		{"name", Config{Target: "shadow.example:80"}, ""},
		{"IPv4", Config{Target: "192.0.2.1:80"}, ""},
		{"IPv6", Config{Target: "[2001:db8::1]:80"}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := New(row.config)
			switch {
			case row.says == "" && err != nil:
				t.Errorf("refused: %v", err)
			case row.says != "" && (err == nil || !strings.Contains(err.Error(), row.says)):
				t.Errorf("error %v does not say %q", err, row.says)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	g := newTarget(t)
	b, err := New(Config{Target: g.addr()})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Check(t.Context()); err != nil {
		t.Errorf("of a target that listens: %v", err)
	}
	expect(t, g.accept(t), nil, nil)
	g.Close()
	if err := b.Check(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("of a target that does not: %v", err)
	}
	want(t, "Dials", b.Stats().Dials, uint64(0))
}

func TestRefusedStream(t *testing.T) {
	dead := newTarget(t)
	dead.Close()
	for _, row := range []struct {
		name   string
		config Config
		dials  uint64
	}{
		{"is dialled three times by default", Config{RetryDelay: time.Millisecond}, 3},
		{"is dialled as often as configured", Config{RetryDelay: time.Millisecond, Retries: 4}, 5},
		{"is dialled once without retries", Config{Retries: -1}, 1},
		{"gets no answer in time", Config{Retries: -1, DialTimeout: 30 * time.Millisecond,
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}}, 1},
		{"gets something other than TCP", Config{Retries: -1,
			Dial: func(context.Context, string, string) (net.Conn, error) {
				c, _ := net.Pipe()
				return c, nil
			}}, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.config.Target = dead.addr()
			h := serve(t, row.config)
			s := h.open(t, []byte("unheard"))
			want(t, "outcome", s.outcome(t), "target-refused")
			want(t, "Dials", h.Stats().Dials, row.dials)
			want(t, "DialErrors", h.Stats().DialErrors, row.dials)
		})
	}
}

// TestLocalFailures: where this host is out of what a connection takes, that is
// what is said, and nothing about the target.
func TestLocalFailures(t *testing.T) {
	socket := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", err)}
	}
	files := "no file descriptor is left to connect to the target with"
	for _, row := range []struct {
		name, outcome string
		err, is       error
		log           []string
	}{
		{"the process has no descriptor left", "no-descriptor", socket(syscall.EMFILE), ErrNoDescriptor,
			[]string{"WARN " + files, "INFO there are file descriptors for the target's connections again"}},
		{"the host has none left", "no-descriptor", socket(syscall.ENFILE), ErrNoDescriptor,
			[]string{"WARN " + files, "INFO there are file descriptors for the target's connections again"}},
		{"none is left to look up the name with", "no-descriptor",
			&net.OpError{Op: "dial", Err: &net.DNSError{Err: "dial udp 127.0.0.53:53: socket: too many open files", Name: "shadow"}}, ErrNoDescriptor,
			[]string{"WARN " + files, "INFO there are file descriptors for the target's connections again"}},
		{"no port is left", "no-port", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)}, ErrNoPort,
			[]string{"WARN no local port is left to connect to the target from", "INFO there are local ports for the target's connections again"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := newTarget(t)
			var fails atomic.Bool
			fails.Store(true)
			var l lines
			h := serve(t, Config{Target: g.addr(), Retries: -1, Logger: slog.New(&l),
				Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
					if fails.Load() {
						return nil, row.err
					}
					return new(net.Dialer).DialContext(ctx, network, addr)
				}})
			for range 3 {
				want(t, "outcome", h.open(t, []byte("unheard")).outcome(t), row.outcome)
			}
			if err := h.Check(t.Context()); !errors.Is(err, row.is) || strings.Contains(err.Error(), "answer") {
				t.Errorf("Check: %v", err)
			}
			if k := h.Health(); k.Tried {
				t.Errorf("it is held against the target: %+v", k)
			}
			fails.Store(false)
			s := h.open(t)
			g.accept(t).Close()
			s.end(io.EOF)
			want(t, "outcome", s.outcome(t), "complete")
			l.mu.Lock()
			defer l.mu.Unlock()
			if !slices.Equal(l.text, row.log) {
				t.Errorf("logged %q", l.text)
			}
		})
	}
}

func TestRetryReachesATargetThatComesBack(t *testing.T) {
	g := newTarget(t)
	var dials atomic.Int32
	h := serve(t, Config{Target: g.addr(), RetryDelay: time.Millisecond,
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dials.Add(1) < 3 {
				return nil, syscall.ECONNREFUSED
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}})
	s := h.open(t, []byte("patience"))
	s.end(io.EOF)
	c := g.accept(t)
	expect(t, c, []byte("patience"), nil)
	c.Close()
	want(t, "outcome", s.outcome(t), "complete")
	want(t, "DialErrors", h.Stats().DialErrors, uint64(2))
}

// nameServer answers every A question with what addrs holds, on loopback.
func nameServer(t *testing.T, addrs *atomic.Pointer[[][4]byte], asked *atomic.Int32) *net.Resolver {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(p)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(p[:n]) != nil {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				asked.Add(1)
				for _, a := range *addrs.Load() {
					m.Answers = append(m.Answers, dnsmessage.Resource{
						Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 3600},
						Body:   &dnsmessage.AResource{A: a},
					})
				}
			}
			if reply, err := m.Pack(); err == nil {
				pc.WriteTo(reply, from)
			}
		}
	}()
	t.Cleanup(func() { pc.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

func TestEveryAddressIsTriedAndEveryDialLooksUpAnew(t *testing.T) {
	g := newTarget(t) // 127.0.0.1; nobody listens on 127.0.0.2
	_, port, _ := net.SplitHostPort(g.addr())
	var addrs atomic.Pointer[[][4]byte]
	var asked atomic.Int32
	addrs.Store(&[][4]byte{{127, 0, 0, 2}, {127, 0, 0, 1}})
	dialer := net.Dialer{Resolver: nameServer(t, &addrs, &asked)}
	h := serve(t, Config{Target: "shadow.test.:" + port, Retries: -1, Dial: dialer.DialContext})

	s := h.open(t, []byte("x"))
	s.end(io.EOF)
	c := g.accept(t)
	expect(t, c, []byte("x"), nil)
	c.Close()
	want(t, "outcome with the first address dead", s.outcome(t), "complete")
	want(t, "lookups", asked.Load(), int32(1))

	addrs.Store(&[][4]byte{{127, 0, 0, 2}})
	want(t, "outcome after the name moved away", h.open(t).outcome(t), "target-refused")
	want(t, "lookups", asked.Load(), int32(2))
}

func TestAcceptDoesNotWaitForDials(t *testing.T) {
	const n = 50
	g := newTarget(t)
	h := serve(t, Config{Target: g.addr(), Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}, DialTimeout: time.Hour})
	var all []*script
	for range n {
		all = append(all, h.open(t))
	}
	eventually(t, "every dial", func() bool { return h.Stats().Dials == n })
	h.cancel()
	for _, s := range all {
		want(t, "outcome", s.outcome(t), "shutdown")
	}
}

func TestOutageIsLoggedOnceAMinute(t *testing.T) {
	var l lines
	o := outage{log: slog.New(&l)}
	start := time.Now()
	for i := range 1000 {
		o.refused(start.Add(time.Duration(i)*time.Millisecond), io.EOF)
	}
	o.refused(start.Add(61*time.Second), io.EOF)
	o.answered(start.Add(62 * time.Second))
	o.answered(start.Add(63 * time.Second))
	got := slices.Clone(l.text)
	if !slices.Equal(got, []string{
		"WARN target does not answer",
		"WARN target still does not answer",
		"INFO target answers again",
	}) {
		t.Errorf("logged %q", got)
	}
}

// A target that fails again soon is told of again. One that comes and goes all the time is told of
// as one that fails, until it stays.
func TestTargetThatFailsAgain(t *testing.T) {
	const fails, answers = "WARN target does not answer", "INFO target answers again"
	var l lines
	o := outage{log: slog.New(&l)}
	start := time.Now()
	flap := func(from time.Duration) {
		for i := range 1000 {
			at := start.Add(from + time.Duration(i)*time.Millisecond)
			o.refused(at, io.EOF)
			o.answered(at)
		}
	}
	flap(0)
	flap(50 * time.Second)
	want := []string{fails, answers, fails, answers, fails, answers, fails}
	if got := slices.Clone(l.text); !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
	o.answered(start.Add(time.Minute))
	if got := slices.Clone(l.text); !slices.Equal(got, append(want, answers)) {
		t.Errorf("logged %q, want %q at the end", got, answers)
	}
}

// Nor does a target that is dead from the start warn once at the start and once more at
// its first stream.
func TestTargetThatIsDeadAtTheStartIsOneWarning(t *testing.T) {
	for _, err := range []error{syscall.ECONNREFUSED, syscall.EMFILE} {
		var l lines
		h := serve(t, Config{Target: "127.0.0.1:1", Retries: -1, Logger: slog.New(&l),
			Dial: func(context.Context, string, string) (net.Conn, error) { return nil, err }})
		h.Begin(t.Context())
		for range 3 {
			h.open(t).outcome(t)
		}
		if got := l.all(); len(got) != 1 {
			t.Errorf("%v: logged %q", err, got)
		}
	}
}

func TestDeadTargetIsOneWarning(t *testing.T) {
	g := newTarget(t)
	var dead atomic.Bool
	dead.Store(true)
	var l lines
	h := serve(t, Config{Target: g.addr(), Retries: -1, Logger: slog.New(&l),
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if dead.Load() {
				return nil, syscall.ECONNREFUSED
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}})
	for range 20 {
		want(t, "outcome", h.open(t).outcome(t), "target-refused")
	}
	dead.Store(false)
	for range 20 {
		s := h.open(t)
		g.accept(t).Close()
		s.end(io.EOF)
		want(t, "outcome", s.outcome(t), "complete")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.text, []string{"WARN target does not answer", "INFO target answers again"}) {
		t.Errorf("logged %q", l.text)
	}
}
