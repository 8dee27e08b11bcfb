package replay

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"netmirror/capfile"
	"netmirror/decap"
	"netmirror/outcome"
	"netmirror/service"
	"netmirror/status"
)

// Figures are the results of s, taken from the pipeline's counters. began is when the replay
// began.
func (s *Source) Figures(p *status.Snapshot, began time.Time) Figures {
	files := s.Files()
	from, to := s.Span()
	f := Figures{
		Packets: files.Packets, Bytes: files.Bytes,
		Took: p.Time.Sub(began), Faults: s.faults(), Cut: s.stopped.Err() != nil,
		Lost: slices.Concat(notHeld(p, files), notForwarded(p), leftOut(p)),
	}
	f.Lost = append(f.Lost, Loss{Whose: OfReplay, Count: s.Unknown(),
		Text: "packets belong to networks that the first packets do not show: give each network with --vni"})
	f.Lost = append(f.Lost, s.kind.others(s.OtherKind()))
	if !from.IsZero() {
		f.Span = to.Sub(from)
	}
	f.Delivery = p.Delivery()
	for i := range p.Services {
		of := &p.Services[i]
		ends := of.Bridge.Outcomes
		var left uint64
		for _, n := range of.LeftOut {
			left += n
		}
		f.Services = append(f.Services, ServiceFigures{
			Name: of.Name, Streams: of.Bridge.Streams,
			Complete: ends[outcome.EndComplete] + ends[outcome.EndClientReset] + ends[outcome.EndServerReset], Open: ends[outcome.EndShutdown],
			Bytes: of.Bytes, Forwarded: of.Bridge.BytesWritten, LeftOut: left, Delivery: of.Delivery(),
		})
	}
	return f
}

// others is what is said of so many packets of the service that are not of the kind. A host's
// may be in an overlay network, so they are played with the others.
func (k *Kind) others(count uint64) Loss {
	if k.Mirror.Bare() {
		return Loss{Forwarded, count, "packets are wrapped as a mirror's are: if they are a mirror's, play their files by themselves; if not, give --encap none"}
	}
	return Loss{OfReplay, count, "packets are a host's, and were not read, since the others are a mirror's: play their files by themselves, or give --vni if this is meant"}
}

// faults are the errors of the files, one by one.
func (s *Source) faults() []error {
	err := s.Fault()
	var several interface{ Unwrap() []error }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &several):
		return several.Unwrap()
	}
	return []error{err}
}

// notHeld lists what is missing from the files.
func notHeld(p *status.Snapshot, files capfile.Stats) []Loss {
	dropped, ends := &p.Stack.Dropped, p.Bridge.Outcomes
	cut := p.Decap[decap.OuterTruncated] + dropped[outcome.DropTruncated]
	for r, count := range p.Decap {
		if decap.Reason(r).Cut() {
			cut += count
		}
	}
	lost := []Loss{
		{Count: p.Stack.Holes, Text: fmt.Sprintf("holes in streams, %d bytes", p.Stack.MissingBytes)},
		{Count: ends[outcome.EndGap], Text: "streams were reset because some of their packets are missing"},
		{Count: ends[outcome.EndIdle], Text: "streams were reset because no packet of theirs comes for --idle-timeout"},
		{Count: ends[outcome.EndReplaced], Text: "streams were reset because their end is missing: their clients' ports have new connections"},
		{Count: dropped[outcome.DropMidStream], Text: "packets belong to connections in which no stream could begin: their start is missing"},
		{Count: dropped[outcome.DropSubflow], Text: "packets belong to MPTCP connections of which too little is in the files"},
		{Count: cut, Text: "packets of the service were cut by the mirror or the snapshot length (tcpdump -s)"},
		{Count: p.Stack.DroppedBytes[outcome.DropOutOfWindow], Text: "bytes are too far from the others of their connections to be believed: what is between is missing, or no client has sent them"},
		{Count: dropped[outcome.DropBadChecksum], Text: "packets have a wrong TCP checksum"},
		{Count: p.Ring.FragmentStats.Lost() + p.Inner.Lost(), Text: "fragments never became whole"},
		{Count: dropped[outcome.DropBadAddress], Text: "packets have addresses that no TCP connection has, such as multicast: rewrite them to others"},
		{Count: files.OtherLink, Text: "packets have link layers that netmirror cannot read"},
	}
	if files.Dropped > 0 {
		lost = append(lost, Loss{Count: files.Dropped, Text: "packets were dropped when the capture was made, as its program recorded"})
	}
	return lost
}

// notForwarded lists what the files hold but the target did not get.
func notForwarded(p *status.Snapshot) []Loss {
	dropped, ends := &p.Stack.Dropped, p.Bridge.Outcomes
	lost := []Loss{
		{Count: ends[outcome.EndTargetRefused], Text: "streams were given up because the target took no connection"},
		{Count: ends[outcome.EndNoDescriptor] + ends[outcome.EndNoPort], Text: "streams were given up because no file descriptor or local port was left (ulimit -n)"},
		{Count: ends[outcome.EndTargetSlow], Text: "streams were reset because the target accepted no data for too long (--write-timeout)"},
		{Count: cmp.Or(dropped[outcome.DropTargetEnded], ends[outcome.EndTargetClosed]), Text: "packets or streams were lost with connections that the target closed before the client did"},
		{Count: ends[outcome.EndShed] + dropped[outcome.DropFlowBudget] + dropped[outcome.DropTotalBudget], Text: "streams or packets found no room (--flow-kib, --total-mib, --max-conns)"},
		{Count: dropped[outcome.DropFlowLimit] + dropped[outcome.DropUnproven], Text: "packets belonged to connections beyond --max-flows"},
		{Count: p.Stack.HalfOpenLost, Text: "connection attempts were forgotten (--max-half-open)"},
		{Count: dropped[outcome.DropNotOpened], Text: "packets belonged to connections that could not be opened in time"},
		{Count: p.Stack.DroppedBytes[outcome.DropShutdown] + p.Bridge.BytesUnsent, Text: "bytes were not delivered when the replay ended"},
		{Count: p.Bridge.Requests.TooLarge, Text: "requests were left out because their head is too large to be judged (--only-path, --only-host)"},
		{Count: ends[outcome.EndFailed], Text: "streams broke for a reason without a name"},
	}
	for i := range lost {
		lost[i].Whose = OfReplay
	}
	return lost
}

// leftOut lists what the settings leave out.
func leftOut(p *status.Snapshot) []Loss {
	var overRate uint64
	var packets [service.NumLeftOut]uint64
	for i := range p.Services {
		overRate += p.Services[i].OverRate
		for why, n := range p.Services[i].LeftOut {
			packets[why] += n
		}
	}
	return []Loss{
		{OfSettings, packets[service.ExcludedClient], "packets are of clients that are not taken (--clients, --exclude-clients)"},
		{OfSettings, packets[service.NotSampled], "packets are of connections that are not in the sample (--sample)"},
		{OfSettings, overRate, "connections began beyond the rate (--max-rate)"},
		{OfSettings, p.Bridge.Requests.NotMatched, "requests are not among those asked for (--only-path, --only-host)"},
		{OfSettings, p.Bridge.Outcomes[outcome.EndLeftOut], "connections have no request of those asked for (--only-path, --only-host)"},
	}
}
