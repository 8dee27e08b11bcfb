package settings

import (
	"slices"
	"strings"

	"netmirror/service"
)

// VNIs are those of --vni; none for any, and where there is no --vni.
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

// CapturedVNIs and CapturedPorts are those of all services: what the kernel is to hand
// over. No VNI stands for all.
func (o *Options) CapturedVNIs() (all service.VNIs) {
	for _, s := range o.Services {
		if s.VNIs.Any() {
			return nil
		}
		all = append(all, s.VNIs...)
	}
	return service.VNIsOf(all...)
}

func (o *Options) CapturedPorts() service.Ports {
	var all []string
	for _, s := range o.Services {
		all = append(all, s.Ports.String())
	}
	ports, _ := service.ParsePorts(strings.Join(all, ",")) // which they are
	return ports
}

// Targets are the targets of all services.
func (o *Options) Targets() string {
	var all []string
	for _, s := range o.Services {
		if !slices.Contains(all, s.Target) {
			all = append(all, s.Target)
		}
	}
	return strings.Join(all, ", ")
}
