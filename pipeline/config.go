// Package pipeline is services over sources: it takes the frames of its sources
// through decapsulation and reassembly to the stacks, and the streams of the stacks
// to the bridges. It knows the stages, which know nothing of each other.
//
// It opens no source and logs nothing at packet rate.
package pipeline

import (
	"fmt"
	"log/slog"
	"time"

	"netmirror/bridge"
	"netmirror/budget"
	"netmirror/stack"
	"netmirror/wire"
)

// Service is whose connections are forwarded, and where to.
type Service struct {
	VNIs   []uint32      // the networks that it is in
	Port   uint16        // its TCP port, as its clients know it
	Target bridge.Config // the shadow service
}

// Config says what to forward and what that may cost.
type Config struct {
	// Services are those to forward. There must be one.
	Services []Service
	// Mirror is how the mirror's packets come.
	Mirror wire.Mirror
	// Workers is how many stacks share the connections; 0 means 1.
	Workers int
	// Stack is how connections are followed. Its MaxFlows and MaxStubs are those of all
	// workers together. Port, VNIs, TotalBytes, Budget and CaughtUp are set by New.
	Stack stack.Config
	// TotalBytes is the memory of the process beside the sources', in bytes. New has
	// the garbage collector keep within it.
	TotalBytes int64

	// SourceWait is how long a source may keep a frame for others to come with it.
	SourceWait time.Duration
	// AllCores keeps the process on all cores. Otherwise it runs on one while that is
	// enough (runtime.GOMAXPROCS).
	AllCores bool
	// Patience is how long Run goes on to deliver what was captured after the sources
	// were stopped.
	Patience time.Duration

	Log *slog.Logger // nil: none
}

func (c *Config) setDefaults() error {
	if len(c.Services) != 1 {
		return fmt.Errorf("pipeline: %d services, need one", len(c.Services))
	}
	if c.Workers < 0 {
		return fmt.Errorf("pipeline: %d workers", c.Workers)
	}
	c.Workers = max(c.Workers, 1)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// stackConfig is that of each of the workers, which share the memory and the flows, and
// among which the stubs are divided.
func (c *Config) stackConfig(bytes int) stack.Config {
	share := func(all int) int { return (all + c.Workers - 1) / c.Workers }
	sc, service := c.Stack, &c.Services[0]
	sc.Port, sc.VNIs = service.Port, service.VNIs
	sc.Budget = budget.New(bytes, sc.MaxFlows)
	sc.MaxFlows, sc.MaxStubs, sc.TotalBytes = share(sc.MaxFlows), share(sc.MaxStubs), share(bytes)
	return sc
}
