// Package servicetest makes selectors for tests.
package servicetest

import "netmirror/service"

// Only selects one service: by its port, in the given networks.
func Only(port uint16, vnis ...uint32) *service.Selector {
	s, err := service.NewSelector([]service.Selection{{VNIs: service.VNIsOf(vnis...), Ports: service.PortsOf(port)}})
	if err != nil {
		panic(err)
	}
	return s
}
