package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"netmirror/bridge"
	"netmirror/pipeline"
	"netmirror/service"
	"netmirror/stack"
)

// forwarded is a service that is asked for: a selection, its target, and how the two
// are treated.
type forwarded struct {
	Name string
	service.Forward
	Settings serviceSettings
	Open     bool // no VNI was asked for, which only a replay does without
}

// serviceSettings are the settings that each service may have of its own.
type serviceSettings struct {
	OnGap, Midstream                         string
	DialTimeout, WriteTimeout, LingerTimeout time.Duration
	MaxRetries                               int
	Sample, SampleBy                         string
	Clients, ExcludeClients                  []string
}

// sampleBys are what --sample-by says.
var sampleBys = map[string]service.SampleBy{"connection": service.ByConnection, "client": service.ByClient}

// common are the settings of services that have none of their own.
func (o *options) common() serviceSettings {
	t, s := &o.Target, &o.Selection
	return serviceSettings{
		OnGap: o.Fidelity.OnGap, Midstream: o.Fidelity.Midstream,
		DialTimeout: t.DialTimeout, WriteTimeout: t.WriteTimeout, LingerTimeout: t.LingerTimeout, MaxRetries: t.MaxRetries,
		Sample: s.Sample, SampleBy: s.SampleBy, Clients: s.Clients, ExcludeClients: s.ExcludeClients,
	}
}

// simple says whether the call is that for one selection: --vni, --port, --to.
func (o *options) simple() bool { return len(o.Selection.Forward) == 0 && len(o.sections) == 0 }

// resolve finds the services that are asked for. The flags are there, and each is right
// by itself.
func (o *options) resolve() error {
	bare := o.mirror().Bare()
	if o.checking != nil { // which finds out what is not given
		err := checkBare(bare, o.vnis())
		for _, to := range o.Target.To {
			err = cmp.Or(err, checkTarget(to))
		}
		return err
	}
	if o.simple() {
		o.services = o.simpleServices()
	} else if err := o.listedServices(); err != nil {
		return err
	}
	if len(o.services) > service.Max {
		return fmt.Errorf("%d services, counting each target; at most %d can be", len(o.services), service.Max)
	}
	o.nameServices()
	for i, s := range o.services {
		for _, other := range o.services[:i] {
			if s.Selection.String() == other.Selection.String() && s.Target == other.Target {
				return fmt.Errorf("%s=%s is there twice; leave one of them out", s.Selection, s.Target)
			}
			if s.Name == other.Name {
				return fmt.Errorf("two services are called %q; give one of them another name", s.Name)
			}
		}
		if err := s.check(bare); err != nil {
			return err
		}
	}
	return nil
}

// simpleServices are one for each --to.
func (o *options) simpleServices() (all []forwarded) {
	for _, to := range o.Target.To {
		f := service.Forward{Selection: service.Selection{VNIs: o.vnis(), Ports: o.ports()}, Target: to}
		all = append(all, forwarded{Forward: f, Settings: o.common(), Open: len(o.Selection.VNI) == 0})
	}
	return all
}

// listedServices are those of --forward and of the file's sections.
func (o *options) listedServices() error {
	if len(o.Selection.VNI) > 0 || o.Selection.Port != "" || len(o.Target.To) > 0 {
		return errors.New("--vni, --port and --to are one service, and --forward and [Service NAME] list services; use one or the other")
	}
	for _, text := range o.Selection.Forward {
		f, err := service.ParseForward(text)
		if err != nil {
			return err
		}
		o.services = append(o.services, forwarded{Forward: f, Settings: o.common()})
	}
	for _, s := range o.sections {
		all, err := s.services(o.common())
		if err != nil {
			return err
		}
		o.services = append(o.services, all...)
	}
	return nil
}

// nameServices names those that have no name by their selection, and those of which
// there are several by their target as well.
func (o *options) nameServices() {
	names := make([]string, len(o.services))
	times := make(map[string]int)
	for i, s := range o.services {
		names[i] = cmp.Or(s.Name, s.Selection.String())
		if s.Open {
			names[i] = "port " + s.Ports.String()
		}
		times[names[i]]++
	}
	for i := range o.services {
		s := &o.services[i]
		if s.Name = names[i]; times[s.Name] > 1 {
			s.Name += "=" + s.Target
		}
	}
}

// checkBare says where packets that nothing is around are asked for by a VNI.
func checkBare(bare bool, asked service.VNIs) error {
	if bare && !asked.Any() && !slices.Equal(asked, service.VNIs{0}) {
		return errors.New("--encap none: the packets have no VNI; leave --vni out, or give 0")
	}
	return nil
}

// check says what is wrong with a service.
func (f *forwarded) check(bare bool) error {
	if err := cmp.Or(checkTarget(f.Target), checkBare(bare, f.VNIs)); err != nil {
		return err
	}
	if _, err := service.NewSelector([]service.Selection{f.Selection}); err != nil {
		return err
	}
	if _, err := f.Settings.sample(); err != nil {
		return fmt.Errorf("--sample: %w", err)
	}
	_, err := f.Settings.clients()
	return err
}

// sample draws differently for no two services: which connections are taken does not
// depend on what a service is called.
func (s *serviceSettings) sample() (service.Sample, error) {
	return service.NewSample(s.Sample, sampleBys[s.SampleBy], "")
}

func (s *serviceSettings) clients() (service.Clients, error) {
	return service.NewClients(s.Clients, s.ExcludeClients)
}

// pipelineServices are the services for the pipeline.
func (o *options) pipelineServices(logger *slog.Logger) []pipeline.Service {
	all := make([]pipeline.Service, len(o.services))
	for i := range o.services {
		f := &o.services[i]
		s := &f.Settings
		log := logger
		if len(o.services) > 1 {
			log = logger.With("service", f.Name)
		}
		sample, _ := s.sample() // check has seen to both
		clients, _ := s.clients()
		all[i] = pipeline.Service{
			Name: f.Name, Selection: f.Selection, Sample: sample, Clients: clients,
			Stack: stack.Service{OnGap: onGaps[s.OnGap], Midstream: midstreams[s.Midstream]},
			Target: bridge.Config{
				Target: f.Target, DialTimeout: s.DialTimeout, Retries: orNone(s.MaxRetries),
				WriteTimeout: s.WriteTimeout, LingerTimeout: s.LingerTimeout, Logger: log,
			},
		}
	}
	return all
}

// capturedVNIs and capturedPorts are those of all services: what the kernel is to hand
// over. No VNI stands for all.
func (o *options) capturedVNIs() (all service.VNIs) {
	for _, s := range o.services {
		if s.VNIs.Any() {
			return nil
		}
		all = append(all, s.VNIs...)
	}
	return service.VNIsOf(all...)
}

func (o *options) capturedPorts() service.Ports {
	var all []string
	for _, s := range o.services {
		all = append(all, s.Ports.String())
	}
	ports, _ := service.ParsePorts(strings.Join(all, ",")) // which they are
	return ports
}

// targets are the targets of all services.
func (o *options) targets() string {
	var all []string
	for _, s := range o.services {
		if !slices.Contains(all, s.Target) {
			all = append(all, s.Target)
		}
	}
	return strings.Join(all, ", ")
}

// logServices tells which services there are, where they are several.
func (o *options) logServices(log *slog.Logger) {
	if len(o.services) < 2 {
		return
	}
	for _, s := range o.services {
		log.Info("service", "service", s.Name, "vni", s.VNIs.String(), "port", s.Ports.String(), "to", s.Target)
	}
}
