package settings

import (
	"slices"
	"strings"

	"netmirror/service"
)

// VNIs are those of --vni: none for any, and none without --vni.
func (o *Options) VNIs() service.VNIs {
	words := o.Selection.VNI
	switch {
	case len(words) > 0:
		all, _ := service.ParseVNIs(strings.Join(words, ",")) // the parser has seen to it
		return all
	case o.Mirror().Bare():
		return service.VNIs{0} // what nothing is around has none
	}
	return nil
}

// Ports are those of --port; none where it is not given.
func (o *Options) Ports() service.Ports {
	ports, _ := service.ParsePorts(string(o.Selection.Port)) // the parser has seen to it
	return ports
}

// Captured is the union of all services' selections: what the kernel should deliver.
func (o *Options) Captured() service.Selection {
	all := make([]service.Selection, len(o.Services))
	for i := range all {
		all[i] = o.Services[i].Selection
	}
	return service.Union(all...)
}

// Targets are the targets of all services, in words.
func (o *Options) Targets() string { return strings.Join(o.allTargets(), ", ") }

func (o *Options) allTargets() (all []string) {
	for _, s := range o.Services {
		if !slices.Contains(all, s.Target) {
			all = append(all, s.Target)
		}
	}
	return all
}
