package e2e

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// request is one that a client made and got an answer to.
type request struct {
	id           uint64 // connection<<32 | its place on the connection
	begun, ended time.Time
}

// busy are keep-alive connections that make requests at an even pace.
type busy struct {
	conns, perSecond int    // perSecond is of all together
	first            uint64 // number of the first connection, in the ids
	size             int64  // of each body
	// admit, where it is set, is called before each request and waits until the
	// request may be made.
	admit func(ctx context.Context, id uint64) error
}

// requestLog is what clients did, by connection.
type requestLog [][]request

// forSeconds makes the requests of so many seconds.
func (b busy) forSeconds(ctx context.Context, c lab.Client, seconds int) (requestLog, error) {
	each := seconds * b.perSecond / b.conns
	return b.run(ctx, c, func(made int) bool { return made < each })
}

// until makes requests until stop is closed.
func (b busy) until(ctx context.Context, c lab.Client, stop <-chan struct{}) (requestLog, error) {
	return b.run(ctx, c, func(int) bool {
		select {
		case <-stop:
			return false
		default:
			return true
		}
	})
}

func (b busy) run(ctx context.Context, c lab.Client, another func(made int) bool) (requestLog, error) {
	log, pace := make(requestLog, b.conns), lab.PerSecond(b.perSecond)
	err := lab.Each(ctx, b.conns, b.conns, func(ctx context.Context, i int) error {
		return c.With(ctx, func(s *lab.Stream) error {
			for r := 0; another(r); r++ {
				if err := pace.Await(ctx, r*b.conns+i); err != nil {
					return err
				}
				id := (b.first+uint64(i))<<32 | uint64(r)
				if b.admit != nil {
					if err := b.admit(ctx, id); err != nil {
						return err
					}
				}
				q := request{id: id, begun: time.Now()}
				if err := s.Post(q.id, b.size); err != nil {
					return err
				}
				q.ended = time.Now()
				log[i] = append(log[i], q)
			}
			return nil
		})
	})
	return log, err
}

// startBusy makes requests until the function that it returns is called, which
// returns what they were.
func startBusy(t testing.TB, s *scene, b busy) (finish func() requestLog) {
	t.Helper()
	return startLoad(t, func(stop <-chan struct{}) (requestLog, error) { return b.until(s.ctx, s.client, stop) })
}

// startLoad is startBusy for anything that makes requests until stop is closed.
func startLoad(t testing.TB, until func(stop <-chan struct{}) (requestLog, error)) (finish func() requestLog) {
	t.Helper()
	var log requestLog
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		log, err = until(stop)
		ended <- err
	}()
	end := sync.OnceValue(func() error {
		close(stop)
		return <-ended
	})
	t.Cleanup(func() { end() })
	return func() requestLog {
		t.Helper()
		if err := end(); err != nil {
			t.Fatalf("lab: %v", err)
		}
		return log
	}
}

// last returns a function that says whether a request was its connection's last.
func (l requestLog) last() func(id uint64) bool {
	ids := make(map[uint64]bool)
	for _, conn := range l {
		if len(conn) > 0 {
			ids[conn[len(conn)-1].id] = true
		}
	}
	return func(id uint64) bool { return ids[id] }
}

// all is the requests of all connections.
func (l requestLog) all() []request { return slices.Concat(l...) }

// separate makes n connections, one after another, with one POST on each.
func separate(ctx context.Context, c lab.Client, n int, size int64) (requestLog, error) {
	log := make(requestLog, n)
	for i := range log {
		q := request{id: uint64(i) << 32, begun: time.Now()}
		if err := c.With(ctx, func(s *lab.Stream) error { return s.Post(q.id, size) }); err != nil {
			return log, err
		}
		q.ended = time.Now()
		log[i] = []request{q}
	}
	return log, nil
}
