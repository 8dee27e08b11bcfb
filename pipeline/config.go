// Package pipeline runs services over sources: it takes the frames of its sources
// through decapsulation and reassembly to the stacks, and the streams of the stacks
// to the bridges. It connects the stages, which do not know each other.
//
// It opens no source and logs nothing at packet rate.
package pipeline

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"

	"netmirror/bridge"
	"netmirror/budget"
	"netmirror/service"
	"netmirror/stack"
	"netmirror/wire"
)

// Service says which connections are forwarded, and where to. If two have the same selection,
// each target gets every stream.
type Service struct {
	Name string // as the figures have it; "" is the selection
	service.Selection
	Clients service.Clients // of them, those to take
	Sample  service.Sample  // and the share of their connections
	MaxRate int             // connections that may begin in a second; 0: any number
	Stack   stack.Service   // how they are followed; its Rate is set by New
	Target  bridge.Config   // the shadow service; its Room is set by New
}

func (s *Service) name() string { return cmp.Or(s.Name, s.Selection.String()) }

// Config says what to forward and what that may cost.
type Config struct {
	// Services are those to forward, at most service.Max.
	Services []Service
	// Mirror is how the mirror's packets come.
	Mirror wire.Mirror
	// Workers is how many stacks share the connections; 0 means 1.
	Workers int
	// Stack is how connections are followed. Its MaxFlows and MaxStubs are those of all
	// workers together. Services, TotalBytes, Budget and CaughtUp are
	// set by New.
	Stack stack.Config
	// MaxConns is how many connections the targets may have together; 0 means 10000.
	MaxConns int
	// TotalBytes is the memory of the process beside the sources', in bytes. New has
	// the garbage collector keep within it.
	TotalBytes int64

	// SourceWait is how long a source may keep a frame for others to come with it.
	SourceWait time.Duration
	// AllCores keeps the process on all cores. Otherwise it runs on one while that is
	// enough (runtime.GOMAXPROCS).
	AllCores bool
	// Patience is how long Run goes on to deliver what was captured after the sources
	// were stopped, or a service was taken away.
	Patience time.Duration

	Log *slog.Logger // nil: none
}

func (c *Config) setDefaults() error {
	if c.Workers < 0 {
		return fmt.Errorf("pipeline: %d workers", c.Workers)
	}
	c.Workers = max(c.Workers, 1)
	if c.MaxConns == 0 {
		c.MaxConns = 10000
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// stackConfig is that of each of the workers, which share the memory and the flows, and
// among which the stubs are divided.
func (c *Config) stackConfig(services []*served, bytes int) stack.Config {
	share := func(all int) int { return (all + c.Workers - 1) / c.Workers }
	sc := c.Stack
	for _, s := range services {
		sc.Services = append(sc.Services, s.Stack)
	}
	sc.Budget = budget.New(bytes, sc.MaxFlows)
	sc.MaxFlows, sc.MaxStubs, sc.TotalBytes = share(sc.MaxFlows), share(sc.MaxStubs), share(bytes)
	return sc
}
