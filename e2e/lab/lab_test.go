package lab

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const servicePort = 8080

// build makes a lab for the test, which is skipped where the kernel refuses.
func build(t *testing.T, opts Options) *Lab {
	t.Helper()
	l, err := New(opts)
	if errors.Is(err, ErrPrivilege) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func serve(t *testing.T, l *Lab, handle Handler) *Server {
	t.Helper()
	s, err := l.Srv.Serve(l.Origin(servicePort), handle)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestLabsSideBySide(t *testing.T) {
	ctx := deadline(t)
	a, b := build(t, Options{}), build(t, Options{})
	sa, sb := serve(t, a, AnswerHTTP), serve(t, b, AnswerHTTP)
	post := func(s *Stream) error { return s.Post(1, 10_000) }
	if err := a.ClientOf(servicePort).With(ctx, post); err != nil {
		t.Fatal(err)
	}
	if err := sa.Wait(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if n := len(sb.Records()); n != 0 {
		t.Errorf("the other lab's server got %d connections", n)
	}
	if a.Cli.cookie == b.Cli.cookie || a.Cli.cookie == a.Srv.cookie {
		t.Error("namespaces are shared")
	}
}

// None that was made before is missing, whether the server had accepted it or not.
func TestWaitAll(t *testing.T) {
	ctx := deadline(t)
	l := build(t, Options{})
	server := serve(t, l, AnswerHTTP)
	const conns = 100
	for range conns {
		c, err := l.Cli.Dial(ctx, l.Origin(servicePort))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.SetLinger(0), c.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.WaitAll(ctx); err != nil {
		t.Fatal(err)
	}
	if n := len(server.Records()); n != conns+1 {
		t.Errorf("%d connections, want %d and the last one", n, conns)
	}
}

func TestCloseEndsTheNetworkUnderOpenSockets(t *testing.T) {
	ctx := deadline(t)
	l := build(t, Options{})
	serve(t, l, AnswerHTTP)
	s, err := l.ClientOf(servicePort).Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.SetDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := s.Get(1); err == nil {
		t.Error("a request was answered after Close")
	}
}

func TestRecords(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*Stream) error
		want End
	}{
		{"close is EOF", func(s *Stream) error { return s.Close() }, EOF},
		{"half-close is EOF", func(s *Stream) error { return s.CloseWrite() }, EOF},
		{"linger 0 is a reset", func(s *Stream) error { return errors.Join(s.SetLinger(0), s.Close()) }, Reset},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := deadline(t)
			l := build(t, Options{})
			server := serve(t, l, AnswerHTTP)
			s, err := l.ClientOf(servicePort).Open(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := errors.Join(s.Post(7, 300_000), s.Flushed(ctx)); err != nil {
				t.Fatal(err)
			}
			want := s.Sent(tt.want)
			if err := tt.end(s); err != nil {
				t.Fatal(err)
			}
			if err := server.Wait(ctx, 1); err != nil {
				t.Fatal(err)
			}
			if d := Diff([]Record{want}, server.Records()); d != "" {
				t.Error(d)
			}
		})
	}
}
