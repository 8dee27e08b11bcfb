package settings

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"netmirror/requests"
	"netmirror/service"
	"netmirror/target"
)

// Service is a service that is asked for: a selection, its target, and how the two
// are treated.
type Service struct {
	Name string
	service.Forward
	Settings ServiceOptions
	Own      []Setting // of Settings, those that its section gives
	Open     bool      // no VNI was asked for, which only a replay does without
	Place    string    // FILE:LINE of its section, for messages; "": flags say it
}

// ServiceOptions are the settings that each service may have of its own.
type ServiceOptions struct {
	OnGap, Midstream                         string
	DialTimeout, WriteTimeout, LingerTimeout time.Duration
	MaxRetries                               int
	ProxyProtocol                            string
	SourceAddress                            ipAddress
	Mark                                     uint32
	TLS                                      target.TLSOptions
	Sample, SampleBy                         string
	Clients, ExcludeClients                  []string
	MaxRate                                  int
	Requests                                 requests.Config
}

// sampleBys are what --sample-by says.
var sampleBys = map[string]service.SampleBy{"connection": service.ByConnection, "client": service.ByClient}

// Common are the settings of services that have none of their own.
func (o *Options) Common() ServiceOptions {
	t, s := &o.Target, &o.Selection
	return ServiceOptions{
		OnGap: o.Fidelity.OnGap, Midstream: o.Fidelity.Midstream,
		DialTimeout: t.DialTimeout, WriteTimeout: t.WriteTimeout, LingerTimeout: t.LingerTimeout, MaxRetries: t.MaxRetries,
		ProxyProtocol: t.ProxyProtocol, SourceAddress: t.SourceAddress, Mark: t.Mark, TLS: t.tls(),
		Sample: s.Sample, SampleBy: s.SampleBy, Clients: s.Clients, ExcludeClients: s.ExcludeClients, MaxRate: s.MaxRate,
		Requests: requests.Config{Marks: o.Requests.Mark, Paths: o.Requests.OnlyPath, Hosts: o.Requests.OnlyHost},
	}
}

// Simple says whether the call is that for one selection: --vni, --port, --to.
func (o *Options) Simple() bool { return len(o.Selection.Forward) == 0 && len(o.sections) == 0 }

// Alone says whether there is a single service, and the flags say all of it.
func (o *Options) Alone() bool { return len(o.Services) < 2 && o.Simple() }

// resolve finds the services that are asked for. The flags are there, and each is right
// by itself.
func (o *Options) resolve() error {
	bare := o.Mirror().Bare()
	if o.Check != nil && o.Simple() && len(o.Target.To) < 2 { // which finds out what is not given
		err, common := checkBare(bare, o.VNIs()), o.Common()
		for _, to := range o.Target.To {
			err = cmp.Or(err, ofFlag("to", checkTarget(to)), common.checkTarget(to))
		}
		return cmp.Or(err, common.checkFilters(), checkTLS(common.TLS, o.Target.To))
	}
	if err := o.listServices(); err != nil {
		return err
	}
	if len(o.Services) > service.Max {
		return fmt.Errorf("%d services, counting each target; the limit is %d; give the others to a second netmirror", len(o.Services), service.Max)
	}
	if err := o.oneSelectionEach(); err != nil {
		return err
	}
	o.nameServices()
	for i, s := range o.Services {
		for _, other := range o.Services[:i] {
			if s.Selection.String() == other.Selection.String() && s.Target == other.Target {
				return fmt.Errorf("%s=%s is given twice%s; leave one of them out", s.Selection, s.Target, placesOf(&other, &s))
			}
			if s.Name == other.Name {
				return fmt.Errorf("two services are called %q; give one of them another name", s.Name)
			}
		}
		if err := s.check(bare); err != nil && !o.Simple() {
			return fmt.Errorf("service %s: %w", s.Name, err)
		} else if err != nil {
			return err
		}
	}
	return checkTLS(o.Common().TLS, o.allTargets())
}

// placesOf says which two places give the same, where a section of the file is among them.
func placesOf(a, b *Service) string {
	if a.Place == "" && b.Place == "" {
		return "" // flags alone, which the call shows
	}
	first, second := cmp.Or(a.Place, "--forward"), cmp.Or(b.Place, "--forward")
	if first == second {
		return " (in " + first + ")"
	}
	return " (in " + first + " and " + second + ")"
}

// oneSelectionEach refuses a name that was given to two selections. A selection may have several
// targets.
func (o *Options) oneSelectionEach() error {
	of := make(map[string]string)
	for _, s := range o.Services {
		selection, known := of[s.Name]
		if s.Name != "" && known && selection != s.Selection.String() {
			return fmt.Errorf("two services are called %q; give one of them another name", s.Name)
		}
		of[s.Name] = s.Selection.String()
	}
	return nil
}

// listServices fills in the services, in whichever way they are given.
func (o *Options) listServices() (err error) {
	if o.Simple() {
		o.Services, err = o.simpleServices()
		return err
	}
	return o.listedServices()
}

// simpleServices are one for each --to.
func (o *Options) simpleServices() (all []Service, err error) {
	for _, to := range o.Target.To {
		if err := checkTarget(to); err != nil {
			return nil, ofFlag("to", err)
		}
		f := service.Forward{Selection: service.Selection{VNIs: o.VNIs(), Ports: o.Ports()}, Target: to}
		all = append(all, Service{Forward: f, Settings: o.Common(), Open: len(o.Selection.VNI) == 0})
	}
	return all, nil
}

// listedServices are those of --forward and of the file's sections.
func (o *Options) listedServices() error {
	for _, of := range []struct {
		flag string
		set  bool
	}{{"vni", len(o.Selection.VNI) > 0}, {"port", o.Selection.Port != ""}, {"to", len(o.Target.To) > 0}} {
		if of.set {
			return ofFlag(of.flag, errors.New("--vni, --port and --to are one service, and --forward and [Service NAME] list services; use one or the other"))
		}
	}
	for _, text := range o.Selection.Forward {
		name, f, err := service.ParseNamed(text)
		if err = cmp.Or(err, checkTarget(f.Target)); err != nil {
			return ofFlag("forward", err)
		}
		o.Services = append(o.Services, Service{Name: name, Forward: f, Settings: o.Common()})
	}
	for _, s := range o.sections {
		all, err := s.services(o.Common())
		if err != nil {
			return err
		}
		o.Services = append(o.Services, all...)
	}
	return nil
}

// nameServices names those that have no name by their selection, and those of which
// there are several by their target as well.
func (o *Options) nameServices() {
	names := make([]string, len(o.Services))
	times := make(map[string]int)
	for i, s := range o.Services {
		names[i] = cmp.Or(s.Name, s.Selection.String())
		if s.Open {
			names[i] = "port " + s.Ports.String()
		}
		times[names[i]]++
	}
	for i := range o.Services {
		s := &o.Services[i]
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
func (f *Service) check(bare bool) error {
	if err := cmp.Or(checkBare(bare, f.VNIs), f.Settings.checkTarget(f.Target)); err != nil {
		return err
	}
	if _, err := service.NewSelector([]service.Selection{f.Selection}); err != nil {
		return err
	}
	return f.Settings.checkFilters()
}

// checkFilters says what is wrong with what chooses connections and requests, or alters them.
func (s *ServiceOptions) checkFilters() error {
	if _, err := s.ParseSample(); err != nil {
		return ofFlag("sample", fmt.Errorf("--sample: %w", err))
	}
	if _, err := s.ParseClients(); err != nil {
		return err
	}
	if _, err := requests.New(s.Requests); err != nil {
		return ofFlag("mark-requests", err)
	}
	return nil
}

// ParseSample reads --sample. All services with the same share take the same connections,
// whatever their names are.
func (s *ServiceOptions) ParseSample() (service.Sample, error) {
	return service.NewSample(s.Sample, sampleBys[s.SampleBy], "")
}

// ParseClients reads --clients and --exclude-clients.
func (s *ServiceOptions) ParseClients() (service.Clients, error) {
	return service.NewClients(s.Clients, s.ExcludeClients)
}
