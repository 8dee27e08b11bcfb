package lab

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFiltersTurnAwayNewConnectionsOnly(t *testing.T) {
	for _, tt := range []struct {
		name   string
		filter func(*Namespace, uint16) error
		want   func(error) bool
	}{
		{"refused", (*Namespace).RefuseNew, func(err error) bool { return errors.Is(err, unix.ECONNREFUSED) }},
		{"swallowed", (*Namespace).SwallowNew, timeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := deadline(t)
			l := build(t, Options{})
			serve(t, l, AnswerHTTP)
			client := l.ClientOf(servicePort)
			old, err := client.Open(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer old.Close()
			if err := tt.filter(l.Srv, servicePort); err != nil {
				t.Fatal(err)
			}
			soon, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			defer cancel()
			if s, err := client.Open(soon); err == nil {
				s.Close()
				t.Error("a new connection was admitted")
			} else if !tt.want(err) {
				t.Errorf("a new connection: %v", err)
			}
			if err := old.Get(1); err != nil {
				t.Errorf("the old connection: %v", err)
			}
			if err := l.Srv.AdmitNew(); err != nil {
				t.Fatal(err)
			}
			if err := client.With(ctx, func(s *Stream) error { return s.Get(2) }); err != nil {
				t.Errorf("a new connection afterwards: %v", err)
			}
		})
	}
}

// timeout reports whether a dial ran out of time, which its context and the
// socket's deadline are equally likely to say first.
func timeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
