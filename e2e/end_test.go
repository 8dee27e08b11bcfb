package e2e

import (
	"errors"
	"testing"

	"netmirror/e2e/lab"
)

func TestClientHalfClosesAndGoesOnReading(t *testing.T) {
	s := set(t, lab.Options{}, nil)
	if err := s.client.With(s.ctx, func(c *lab.Stream) error {
		if err := errors.Join(c.Send(1, 100_000), c.CloseWrite()); err != nil {
			return err
		}
		// The shadow service has the end while the client is still there.
		return errors.Join(s.awaitForwarded(1), c.Answer())
	}); err != nil {
		t.Fatal(err)
	}
	s.compare(t)
}

func TestClientResetsBehindItsLastBytes(t *testing.T) {
	s := set(t, lab.Options{}, nil)
	var want []lab.Record
	for id := range uint64(20) {
		c, err := s.client.Open(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(c.Send(id, 200_000), c.Flushed(s.ctx), c.SetLinger(0), c.Close())
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, c.Sent(lab.Reset))
	}
	s.compareWith(t, want)
}

// Where streams may begin at a request, a target that has closed its side, and
// so can answer no further one, gets the next on a new connection. Without that
// it gets the whole stream on the one.
func TestTargetHalfClosesFirst(t *testing.T) {
	s := set(t, lab.Options{}, func(c *lab.Conn, _ <-chan struct{}) {
		c.CloseWrite()
	}, "--midstream", "off")
	s.run(t, connections(20, 4, 10, 20_000))
}

func TestTargetAnswersWhatNobodyAskedFor(t *testing.T) {
	const flood = 100 << 20 // bytes
	answered := make(chan error, 1)
	s := set(t, lab.Options{}, func(c *lab.Conn, _ <-chan struct{}) {
		go func() {
			_, err := c.Write(make([]byte, flood))
			answered <- err
		}()
	})
	if err := s.client.With(s.ctx, func(c *lab.Stream) error {
		for id := uint64(0); ; id++ {
			if err := c.Post(id, 20_000); err != nil {
				return err
			}
			select {
			case err := <-answered:
				if err != nil {
					t.Errorf("the target's answer: %v", err)
				}
				return nil
			default:
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	s.compare(t)
}
