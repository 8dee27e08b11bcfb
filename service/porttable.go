package service

// portTable maps a port to services in two steps: pages of 256 ports, of which
// only those with a service exist, and classes, which are the different lists of
// services that ports have.
type portTable struct {
	pages   [256]*[256]uint16
	classes [][]ID // the first is empty
}

func newPortTable(all []Selection, ids []ID) *portTable {
	b := tableBuilder{portTable: &portTable{classes: make([][]ID, 1)}, longer: make(map[longer]uint16)}
	for _, id := range ids {
		for _, r := range all[id].Ports {
			for port := int(r.First); port <= int(r.Last); port++ {
				b.add(uint16(port), id)
			}
		}
	}
	return b.portTable
}

// services is the list of a port.
func (t *portTable) services(port uint16) []ID {
	page := t.pages[port>>8]
	if page == nil {
		return nil
	}
	return t.classes[page[port&0xff]]
}

// tableBuilder adds services to a portTable one after the other.
type tableBuilder struct {
	*portTable
	longer map[longer]uint16
}

// longer names the class that has one service more than another.
type longer struct {
	class uint16
	id    ID
}

func (b *tableBuilder) add(port uint16, id ID) {
	page := &b.pages[port>>8]
	if *page == nil {
		*page = new([256]uint16)
	}
	class := &(*page)[port&0xff]
	next, made := b.longer[longer{*class, id}]
	if !made {
		next = uint16(len(b.classes))
		b.longer[longer{*class, id}] = next
		list := b.classes[*class]
		b.classes = append(b.classes, append(list[:len(list):len(list)], id))
	}
	*class = next
}
