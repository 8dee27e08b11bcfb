package lab

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFiltersTurnAwayNewConnectionsOnly(t *testing.T) {
	for _, tt := range []struct {
		name   string
		filter func(*Namespace, uint16) error
		want   error
	}{
		{"refused", (*Namespace).RefuseNew, unix.ECONNREFUSED},
		{"swallowed", (*Namespace).SwallowNew, context.DeadlineExceeded},
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
			} else if !errors.Is(err, tt.want) {
				t.Errorf("a new connection: %v, want %v", err, tt.want)
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
