package pipeline

import (
	"reflect"
	"slices"

	"netmirror/bridge"
)

// match finds for each of services the one that goes on in it; nil where it is new.
func match(old []*served, services []Service) []*served {
	all := make([]*served, len(services))
	left := slices.Clone(old)
	for _, goesOn := range []func(was *served, s *Service) bool{
		func(was *served, s *Service) bool {
			return was.Target.Target == s.Target.Target && was.Selection.String() == s.Selection.String()
		},
		func(was *served, s *Service) bool { return was.Name == s.name() },
	} {
		for i := range services {
			at := slices.IndexFunc(left, func(was *served) bool { return all[i] == nil && goesOn(was, &services[i]) })
			if at >= 0 {
				all[i] = left[at]
				left = slices.Delete(left, at, at+1)
			}
		}
	}
	return all
}

// like reports whether the settings of a service are those that are in force.
func (s *served) like(n *Service) bool {
	return s.Name == n.name() && s.takesLike(n) && s.MaxRate == n.MaxRate &&
		s.Stack.OnGap == n.Stack.OnGap && s.Stack.Midstream == n.Stack.Midstream && sameTarget(&s.Target, &n.Target)
}

// takesLike reports whether the connections of a service are the same.
func (s *served) takesLike(n *Service) bool {
	return s.Selection.String() == n.Selection.String() && reflect.DeepEqual(s.Clients, n.Clients) && s.Sample == n.Sample
}

// sameTarget reports whether a bridge for one may go on for the other.
func sameTarget(a, b *bridge.Config) bool {
	return a.Target == b.Target && a.DialTimeout == b.DialTimeout && a.Retries == b.Retries && a.RetryDelay == b.RetryDelay &&
		a.WriteTimeout == b.WriteTimeout && a.LingerTimeout == b.LingerTimeout
}

// become is the service with other settings.
func (s *served) become(n Service) (*served, error) {
	is, err := newServed(n, s.id, s.Target.Room)
	if err != nil {
		return nil, err
	}
	is.figures = s.figures
	if s.MaxRate == n.MaxRate {
		is.Stack.Rate = s.Stack.Rate
	}
	if sameTarget(&s.Target, &n.Target) {
		is.bridge = s.bridge
	}
	return is, nil
}
