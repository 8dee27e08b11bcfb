package check

import (
	"cmp"
	"fmt"
	"time"

	"netmirror/defrag"
)

// gaps counts client data that never came although later data did.
type gaps struct {
	sending uint64 // connections in which clients sent data
	with    uint64 // of these, those that lack some
	packets uint64 // with data, that came
	lacking uint64 // packets that the holes are of, estimated
}

// add takes in what a client sent, at a time of the look.
func (g *gaps) add(client *side, now time.Duration) {
	holes, bytes := client.sequence.missing(now)
	if client.payload == 0 && holes == 0 {
		return
	}
	g.sending++
	g.packets += uint64(client.payload)
	if holes == 0 {
		return
	}
	g.with++
	packets := uint64(holes) // at least; of a larger hole as many as fit in
	if client.bytes > 0 {
		packets = max(packets, bytes*uint64(client.payload)/client.bytes)
	}
	g.lacking += packets
}

func (g *gaps) merge(o gaps) {
	g.sending += o.sending
	g.with += o.with
	g.packets += o.packets
	g.lacking += o.lacking
}

// less subtracts the losses that may be due to the own packets that this program has dropped.
// One packet belongs to one connection.
func (g gaps) less(own uint64) gaps {
	g.with -= min(g.with, own)
	g.lacking -= min(g.lacking, own)
	return g
}

// From these shares of connections on, losses are a note or a fault. A few packets in a
// hundred thousand are no fault, even if every connection has lost one.
const (
	worthANote  = 0.01
	worthAFault = 0.20
	fewPackets  = 0.01
)

// gaps tells what of the clients' packets the mirror has lost.
func (r *report) gaps(c Config, s *seen, name string, ch *choice) {
	own := s.capture.Drops + s.capture.FragmentsDropped[defrag.DropBudget]
	g := ch.gaps.less(own)
	if g.with == 0 {
		return
	}
	connections := float64(g.with) / float64(g.sending)
	packets := float64(g.lacking) / float64(g.lacking+g.packets)
	text := fmt.Sprintf("%s: packets are missing in %d of the %s in which clients sent data, some %d of %d with data (%.2g %%); such a stream is reset",
		name, g.with, count(g.sending, "connection"), g.lacking, g.lacking+g.packets, packets*100)
	if own > 0 {
		text += "; those that came too fast to be analyzed are not included"
	}
	switch {
	case connections >= worthAFault && packets >= fewPackets:
		r.fault(c.whereLost(), "%s", text)
	case connections >= worthANote:
		r.note("%s", text)
	}
}

// whereLost says where to look for what loses the mirror's packets.
func (c Config) whereLost() string {
	here := "where the file was captured (what tcpdump says was dropped, ethtool -S there)"
	if c.Capture == nil {
		here = fmt.Sprintf("at this host's interface (ip -s link show dev %[1]s; ethtool -S %[1]s)", cmp.Or(c.Interface, "NAME"))
	}
	return "find out where packets are lost: at the mirror's source when it is busy, or " + here + "; see docs/troubleshooting.md, \"Gaps\""
}
