package pipeline

import (
	"reflect"
	"slices"
)

// match finds for each of services the old one that it continues; nil if it is new.
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

// like reports whether is, which continues the service, has the same settings and bridge.
func (s *served) like(is *served) bool {
	return s.Name == is.Name && s.takesLike(&is.Service) && s.MaxRate == is.MaxRate &&
		s.Stack.OnGap == is.Stack.OnGap && s.Stack.Midstream == is.Stack.Midstream && s.bridge == is.bridge
}

// takesLike reports whether the connections of a service are the same.
func (s *served) takesLike(n *Service) bool {
	return s.Selection.String() == n.Selection.String() && reflect.DeepEqual(s.Clients, n.Clients) && s.Sample == n.Sample
}

// become is the service with the settings n. It keeps its bridge if a new one would work
// in the same way.
func (s *served) become(n Service) (*served, error) {
	is, err := newServed(n, s.id, s.Target.Room)
	if err != nil {
		return nil, err
	}
	is.figures = s.figures
	if s.MaxRate == n.MaxRate {
		is.Stack.Rate = s.Stack.Rate
	}
	if s.bridge.Like(is.bridge) {
		is.bridge = s.bridge
	}
	return is, nil
}
