package check

import (
	"cmp"
	"fmt"
	"slices"

	asked "netmirror/service"
	"netmirror/wire"
)

// choice is the service to forward.
type choice struct {
	vnis  []uint32
	ports asked.Ports
	service
}

// choose finds the given service, or the only possible one: the only one seen, or the only one
// whose clients sent data. If there is none, it says why and returns nil.
func (r *report) choose(c Config, s *seen) *choice {
	ids := s.matching(c.VNIs, c.Ports)
	switch {
	case len(ids) == 0:
		r.absent(c, s)
		return nil
	case c.given():
		r.missing(c, ids)
		return s.choice(c.VNIs, c.Ports, ids)
	}
	if talking := s.talking(ids); len(talking) > 0 {
		ids = talking
	}
	if vnis := networksOf(ids); len(c.Ports) > 0 && len(ids) > 1 && len(vnis) == 1 {
		return s.choice(vnis, c.Ports, ids)
	}
	if len(ids) == 1 && s.services.forgotten == 0 {
		return r.only(s, ids[0])
	}
	r.several(c, s, ids)
	return nil
}

// given says whether the service is known in full.
func (c Config) given() bool { return len(c.Ports) > 0 && (len(c.VNIs) > 0 || c.EveryVNI) }

// several tells that there is more than one service to forward.
func (r *report) several(c Config, s *seen, ids []serviceID) {
	remedy := "choose the one in the table to forward"
	guesses := s.guesses(ids)
	for _, id := range ids {
		if !slices.Contains(guesses, id) {
			c.VNIs, c.Ports = []uint32{id.vni}, asked.PortsOf(id.port)
			if c.Capture != nil { // the command plays it
				c.Target = cmp.Or(c.Target, anyTarget)
			}
			remedy += ", the busiest for example: " + c.command("check")
			break
		}
	}
	r.fault(remedy, "service: several were seen; give the one to forward")
}

// talking leaves out the services whose clients sent no data: strangers knock at
// many ports.
func (s *seen) talking(ids []serviceID) []serviceID {
	return slices.DeleteFunc(slices.Clone(ids), func(id serviceID) bool {
		v := s.services.entries[id]
		return v.client.payload == 0 && !(v.guess() && v.server.payload > 0)
	})
}

// missing notes which of the VNIs that were given had no packets of the service.
func (r *report) missing(c Config, ids []serviceID) {
	var vnis []uint32
	for _, vni := range c.VNIs {
		if !slices.ContainsFunc(ids, func(id serviceID) bool { return id.vni == vni }) {
			vnis = append(vnis, vni)
		}
	}
	if len(vnis) > 0 {
		r.note("service: no packets of TCP port %v in VNI %s", c.Ports, numbers(vnis))
	}
}

// matching gives the services that were seen of the VNIs and the port, the busiest
// first; none of either stand for any.
func (s *seen) matching(vnis []uint32, ports asked.Ports) []serviceID {
	var ids []serviceID
	for id, v := range s.services.entries {
		if (len(vnis) == 0 || slices.Contains(vnis, id.vni)) && (len(ports) == 0 || ports.Has(id.port)) && v.packets() > 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b serviceID) int {
		return cmp.Or(byPackets(s.services.entries[a], s.services.entries[b]), cmp.Compare(a.vni, b.vni), cmp.Compare(a.port, b.port))
	})
	return ids
}

// choice puts what is seen of one service together. Without VNIs it takes those that are.
func (s *seen) choice(vnis []uint32, ports asked.Ports, ids []serviceID) *choice {
	if len(vnis) == 0 {
		vnis = networksOf(ids)
	}
	ch := &choice{vnis: vnis, ports: ports}
	for _, id := range ids {
		ch.merge(s.services.entries[id])
	}
	return ch
}

// networksOf are the VNIs of services, each once.
func networksOf(ids []serviceID) (vnis []uint32) {
	for _, id := range ids {
		vnis = append(vnis, id.vni)
	}
	slices.Sort(vnis)
	return slices.Compact(vnis)
}

// absent tells that the service that was given was not seen, and what to give
// instead.
func (r *report) absent(c Config, s *seen) {
	present := false
	for _, vni := range c.VNIs {
		present = present || s.vnis.entries[vni] != nil
	}
	switch {
	case len(c.VNIs) > 0 && !present:
		seen := s.networks()
		r.fault(c.remedyVNI(seen, s.matching(nil, c.Ports)), "service: no packets of VNI %s; seen: %s", numbers(c.VNIs), listVNIs(seen))
	case len(c.Ports) > 0:
		ids := s.matching(c.VNIs, nil)
		of := ""
		if len(c.VNIs) > 0 && !s.bare {
			of = " of VNI " + numbers(c.VNIs)
		}
		r.fault(s.remedyPort(c, ids), "service: no packets%s of TCP port %v; seen: %s", of, c.Ports, s.listPorts(ids))
	default:
		r.fault("let the service's TCP through the mirror's filter", "service: no TCP packets of VNI %s", numbers(c.VNIs))
	}
}

// value is how to give a value in place of a wrong one: with its flag, which services that are
// listed have not.
func (c Config) value(flag, name string, value any) string {
	if c.rest != nil {
		return fmt.Sprintf("give it %s %v", name, value)
	}
	return fmt.Sprintf("use --%s %v", flag, value)
}

func (c Config) remedyVNI(seen []vniCount, of []serviceID) string {
	switch {
	case len(seen) == 1:
		return c.value("vni", "VNI", seen[0].vni)
	case len(of) == 1:
		return c.value("vni", "VNI", of[0].vni) + ", which has that port"
	case c.rest != nil:
		return "give it the VNI of its mirror session, one of these"
	}
	return "give the VNI of the mirror session, one of these, with --vni"
}

func (s *seen) remedyPort(c Config, ids []serviceID) string {
	ids = slices.DeleteFunc(slices.Clone(ids), c.isOthers)
	if len(ids) == 1 && len(s.guesses(ids)) == 1 {
		return remedyGuess(ids[0], s.services.entries[ids[0]])
	}
	ports := make(map[uint16]bool)
	for _, id := range ids {
		ports[id.port] = true
	}
	switch {
	case len(ports) == 1:
		return c.value("port", "port", ids[0].port)
	case c.rest != nil:
		return "give it the port that its mirrored clients connect to, which is not that of a load balancer in front of them; or let it through the mirror's filter"
	}
	return "use the port that the mirrored clients connect to, which is not that of a load balancer in front of them, with --port; or let it through the mirror's filter"
}

// isOthers reports whether packets are of another service that is listed.
func (c Config) isOthers(id serviceID) bool {
	return slices.ContainsFunc(c.rest, func(s asked.Selection) bool {
		return s.VNIs.Has(id.vni) && s.Ports.Has(id.port)
	})
}

// vniCount is a VNI and how many packets it had.
type vniCount struct {
	vni     uint32
	packets uint64
}

// networks gives the VNIs that were seen and that --vni can name, the busiest first.
func (s *seen) networks() []vniCount {
	var seen []vniCount
	for vni, n := range s.vnis.entries {
		if vni <= wire.MaxVNI {
			seen = append(seen, vniCount{vni, n.packets})
		}
	}
	slices.SortFunc(seen, func(a, b vniCount) int {
		return cmp.Or(cmp.Compare(b.packets, a.packets), cmp.Compare(a.vni, b.vni))
	})
	return seen
}
