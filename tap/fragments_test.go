package tap

import (
	"netmirror/defrag"
	"netmirror/wire"
)

func sum(n [defrag.Drops]uint64) (all uint64) {
	for _, v := range n {
		all += v
	}
	return all
}

// readable is a whole frame as the capture hands it out: without the header of an
// IPv6 fragment that is all of its datagram.
func readable(frame []byte) []byte {
	return defrag.New(defrag.Config{Protocol: wire.ProtoUDP}).Frame(frame)
}
