package service

// portTable maps a port to services in two steps. A page has the classes of 256
// ports, and exists only if one of these has a service. A class is a list of
// services; ports with the same services have the same class.
type portTable struct {
	pages   [256]*[256]uint16
	classes [][]ID // the first is empty
}

func newPortTable(all []Selection, ids []ID) *portTable {
	b := tableBuilder{portTable: &portTable{classes: make([][]ID, 1)}, extended: make(map[extension]uint16)}
	for _, id := range ids {
		for _, r := range all[id].Ports {
			for port := int(r.First); port <= int(r.Last); port++ {
				b.add(uint16(port), id)
			}
		}
	}
	return b.portTable
}

// services returns the services of a port.
func (t *portTable) services(port uint16) []ID {
	page := t.pages[port>>8]
	if page == nil {
		return nil
	}
	return t.classes[page[port&0xff]]
}

// tableBuilder adds services to a portTable one by one.
type tableBuilder struct {
	*portTable
	extended map[extension]uint16 // classes by what they were made from
}

// extension is a class and a service that it lacks. Together they make another class.
type extension struct {
	class uint16
	id    ID
}

func (b *tableBuilder) add(port uint16, id ID) {
	page := &b.pages[port>>8]
	if *page == nil {
		*page = new([256]uint16)
	}
	class := &(*page)[port&0xff]
	next, made := b.extended[extension{*class, id}]
	if !made {
		next = uint16(len(b.classes))
		b.extended[extension{*class, id}] = next
		list := b.classes[*class]
		b.classes = append(b.classes, append(list[:len(list):len(list)], id))
	}
	*class = next
}
