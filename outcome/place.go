package outcome

// Place is where bytes of clients were lost on their way to the target.
type Place uint8

const (
	// PlaceNone: nothing was lost, or it was left out on purpose, or no client sent it.
	PlaceNone Place = iota
	// PlaceBefore: it never came to this host.
	PlaceBefore
	// PlaceInterface: the network interface, or its driver, had no room for it.
	PlaceInterface
	// PlaceRing: the ring, or the socket, of the capture had no room for it.
	PlaceRing
	// PlaceNetmirror: netmirror had it and could not use it.
	PlaceNetmirror
	// PlaceTarget: the target did not accept or did not acknowledge it.
	PlaceTarget
	// NumPlaces is how many there are.
	NumPlaces
)

// String is p as the log and the metrics have it.
func (p Place) String() string {
	if p < NumPlaces {
		return places[p].name
	}
	return unknown.Name
}

// Text ends a sentence that begins with a number of bytes: "were lost before this host".
func (p Place) Text() string { return places[p].text }

// Remedy is what an operator can do about it.
func (p Place) Remedy() string { return places[p].remedy }

var places = [NumPlaces]struct{ name, text, remedy string }{
	PlaceNone: {name: "none"},
	PlaceBefore: {"before_host", "were lost before this host: nothing was dropped here at the time",
		"a mirror drops packets first when a host or its network is busy: check the mirrored host's bandwidth and the mirror session's limits"},
	PlaceInterface: {"interface", "were lost at this host's interface, which had no room for packets",
		"see ethtool -S; use larger receive queues (ethtool -G), more of them (ethtool -L), or fewer mirrored hosts for one netmirror"},
	PlaceRing: {"ring", "were lost in the capture, which found its ring or socket full", ProblemRingFull.Remedy()},
	PlaceNetmirror: {"netmirror", "were lost in netmirror",
		""},
	PlaceTarget: {"target", "were lost at the target, which refused connections, ended them, or accepted data too slowly",
		"make sure that the name in --to resolves, and that its service runs, is reachable from here, and keeps up; its log says why it ends connections"},
}

// Place is where the bytes of packets dropped for d count as lost. PlaceBefore stands for
// bytes that came but are useless without missing ones: they count where the missing ones
// were lost.
//
// PlaceNone stands for bytes that are no loss: no client is known to have sent them, the
// real server drops them too, they came twice, a shutdown cut them off, or the sequence
// numbers have them counted as missing already (truncated, bad_checksum).
func (d Drop) Place() Place {
	if d < NumDrops {
		return dropPlaces[d]
	}
	return PlaceNone
}

var dropPlaces = [NumDrops]Place{
	DropGap: PlaceBefore, DropReplaced: PlaceBefore,
	DropMidStream: PlaceNetmirror, DropFlowBudget: PlaceNetmirror, DropTotalBudget: PlaceNetmirror,
	DropFlowLimit: PlaceNetmirror, DropUnproven: PlaceNetmirror, DropIdle: PlaceNetmirror,
	DropSubflow: PlaceNetmirror, DropNotOpened: PlaceNetmirror, DropMaxConns: PlaceNetmirror, DropNoSocket: PlaceNetmirror,
	DropTargetEnded: PlaceTarget,
}
