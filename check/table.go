package check

import (
	"cmp"
	"slices"
	"strconv"

	asked "netmirror/service"
	"netmirror/wire"
)

// tableRows is how many services are shown; the chosen ones are shown beside
// them.
const tableRows = 10

// row is a line of the table.
type row struct {
	vni     uint32
	port    string
	packets uint64
	service *service // nil: packets that are not TCP, or have too large a VNI
	chosen  bool
}

// Behind a port there is a place for the mark of a guess.
const rowFormat = "%8s  %5s%1s %10s  %11s  %-12s  %11s  %s"

// table shows what came, by service.
func (r *report) table(c Config, s *seen) {
	rows := s.rows(c)
	r.say(rowFormat, "VNI", "port", "", "packets", "connections", "directions", "new of them", "speaks")
	var others, packets uint64
	for i, row := range rows {
		if i >= tableRows && !row.chosen {
			others++
			packets += row.packets
			continue
		}
		r.row(row, s)
	}
	others += s.services.forgotten
	packets += s.services.lost
	if others > 0 {
		about := ""
		if s.services.forgotten > 0 {
			about = "some "
		}
		r.say("and %s%s, with %s", about, count(others, "other"), count(packets, "packet"))
	}
	r.guesses(s)
}

// row shows one service. Bare frames have no VNI.
func (r *report) row(w row, s *seen) {
	vni, packets := strconv.FormatUint(uint64(w.vni), 10), strconv.FormatUint(w.packets, 10)
	if s.bare {
		vni = "-"
	}
	if w.service == nil {
		speaks := "not TCP"
		if w.vni > wire.MaxVNI {
			speaks = "not read"
		}
		r.say(rowFormat, vni, w.port, "", packets, "-", "-", "-", speaks)
		return
	}
	number := func(n uint64) string {
		if s.flows.folds > 1 && n > 1 { // a connection may be counted twice
			return "~" + strconv.FormatUint(n, 10)
		}
		return strconv.FormatUint(n, 10)
	}
	mark := ""
	if w.service.guess() {
		mark = "?"
	}
	r.say(rowFormat, vni, w.port, mark, packets, number(w.service.conns), w.service.directions(),
		number(w.service.opened), w.service.spoken())
}

// rows gives the table's, the busiest first.
func (s *seen) rows(c Config) []row {
	var rows []row
	for id, v := range s.services.entries {
		rows = append(rows, row{id.vni, strconv.Itoa(int(id.port)), v.packets(), v, c.wants(id)})
	}
	for vni, n := range s.vnis.entries {
		if rest := n.packets - n.tcp; rest > 0 {
			rows = append(rows, row{vni, "-", rest, nil, false})
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(b.packets, a.packets), cmp.Compare(a.vni, b.vni), cmp.Compare(a.port, b.port))
	})
	return rows
}

// wants says whether a port in a VNI is of a service that was given, in full.
func (c Config) wants(id serviceID) bool {
	return slices.ContainsFunc(c.asked(), func(of asked.Selection) bool {
		return of.Ports.Has(id.port) && slices.Contains(of.VNIs, id.vni)
	})
}
