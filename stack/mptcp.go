package stack

// subflows knows the TCP connections that are part of an MPTCP connection (RFC 8684).
type subflows struct {
	all map[flowKey]*subflow
}

type subflow struct{}

func (t *subflows) translate(s *Stack, seg *segment) (Drop, bool) { return 0, true }
