package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"netmirror/requests"
	asked "netmirror/service"
)

// Filters are what leaves out some of a service's connections or requests. The zero value leaves
// out none.
type Filters struct {
	Clients  asked.Clients // whose connections are forwarded
	Sample   asked.Sample  // which of their connections
	Requests requests.Config
}

// flags are those that say which requests are forwarded, in words; "" if all are.
func (f *Filters) flags() string {
	var all []string
	if len(f.Requests.Paths) > 0 {
		all = append(all, "--only-path")
	}
	if len(f.Requests.Hosts) > 0 {
		all = append(all, "--only-host")
	}
	return strings.Join(all, " and ")
}

// clientFlags are those that say whose connections are forwarded, and what they do: leave or
// leaves.
func (f *Filters) clientFlags() (flags, leave string) {
	switch only, except := f.Clients.Lists(); {
	case only && except:
		return "--clients and --exclude-clients", "leave"
	case except:
		return "--exclude-clients", "leaves"
	}
	return "--clients", "leaves"
}

// filter is a service's Filters, ready for use.
type filter struct {
	Filters
	rules *requests.Rules
}

// filters are those of each service that was given, none where all leave nothing out.
func (c Config) filters() (all []filter) {
	of := []Filters{c.Filters}
	if len(c.Services) > 0 {
		of = nil
	}
	for _, s := range c.Services {
		of = append(of, s.Filters)
	}
	for _, f := range of {
		rules, _ := requests.New(f.Requests) // which the settings have checked
		all = append(all, filter{f, rules})
	}
	leavesOut := func(f filter) bool { return !f.Clients.All() || !f.Sample.All() || f.rules.Filters() }
	if !slices.ContainsFunc(all, leavesOut) {
		return nil
	}
	return all
}

// taken is what the filters of one service let pass.
type taken struct {
	conns, sampled    uint64 // connections with payload of clients: of the clients, and of those in the sample
	requests, matched uint64 // that were judged, of the clients; those that are forwarded
}

// mergeTaken adds what was taken elsewhere, by the same filters.
func mergeTaken(into *[]taken, of []taken) {
	if len(*into) < len(of) {
		*into = append(*into, make([]taken, len(of)-len(*into))...)
	}
	for i, n := range of {
		t := &(*into)[i]
		t.conns += n.conns
		t.sampled += n.sampled
		t.requests += n.requests
		t.matched += n.matched
	}
}

// takenOf counts a connection for those services that take it.
func takenOf(filters []filter, client, server netip.AddrPort) []taken {
	all := make([]taken, len(filters))
	from, to := client.Addr().AsSlice(), server.Addr().AsSlice()
	for i := range filters {
		f := &filters[i]
		if !f.Clients.Takes(from) {
			continue
		}
		all[i].conns = 1
		if f.Sample.Takes(from, to, client.Port(), server.Port()) {
			all[i].sampled = 1
		}
	}
	return all
}

// maxAsked is how many services have their requests judged.
const maxAsked = 1 << 12

// judge counts the request that a segment begins with, if it does, for the service that it goes
// to. Only what is in the one segment tells whether it is forwarded.
func (t *flows) judge(vni uint32, s *segment) {
	head := behindProxy(s.payload)
	id := serviceID{vni, s.dst.Port()}
	if len(t.filters) == 0 || t.asked[id] == nil && len(t.asked) >= maxAsked || !isRequest(head) {
		return
	}
	all := make([]taken, len(t.filters))
	for i := range t.filters {
		f := &t.filters[i]
		if !f.rules.Filters() || !f.Clients.Takes(s.src.Addr().AsSlice()) {
			continue
		}
		if wanted, known := f.rules.Wants(head); known {
			all[i].requests = 1
			if wanted {
				all[i].matched = 1
			}
		}
	}
	into := t.asked[id]
	mergeTaken(&into, all)
	t.asked[id] = into
}

// filters tells of clients and connections that are left out.
func (r *report) filters(c Config, name string, ch *choice) {
	all := ch.talked()
	if all == 0 || len(ch.taken) == 0 {
		return
	}
	took := &ch.taken[c.nth]
	flags, leave := c.clientFlags()
	correct := c.correct(flags)
	switch {
	case c.Clients.All():
	case took.conns == 0 && all == 1:
		r.fault(correct, "%s: %s %s out the clients of the only connection in which clients sent data", name, flags, leave)
	case took.conns == 0:
		r.fault(correct, "%s: %s %s out the clients of all %d connections in which clients sent data", name, flags, leave, all)
	case took.conns < all:
		r.note("%s: %s %s out %d of the %s in which clients sent data", name, flags, leave, all-took.conns, count(all, "connection"))
	}
	switch {
	case took.conns == 0 || took.sampled == took.conns:
	case took.sampled == 0 && c.Capture != nil: // which replay plays, and it takes the same ones
		r.fault("give a larger share with --sample", "%s: --sample leaves out all that the capture has, %s in which clients sent data", name, count(took.conns, "connection"))
	case took.sampled == 0:
		r.note("%s: --sample leaves out all that was seen, %s in which clients sent data; watch for longer with --time, or give a larger share if that is not meant",
			name, count(took.conns, "connection"))
	default:
		r.note("%s: --sample leaves out %d of the %s in which clients sent data", name, took.conns-took.sampled, count(took.conns, "connection"))
	}
}

// requests tells of requests that are left out.
func (r *report) requests(c Config, name string, ch *choice) {
	flags := c.flags()
	if flags == "" || len(ch.taken) == 0 || ch.taken[c.nth].conns == 0 {
		return
	}
	took := &ch.taken[c.nth]
	pass := fmt.Sprintf("%s: %d of the %s that were looked at pass %s", name, took.matched, count(took.requests, "request"), flags)
	switch {
	case ch.speaks[http1] == 0:
		r.fault("leave "+flags+" out, or give the service whose clients speak HTTP/1",
			"%s: HTTP/1 in none of the connections, and nothing else can pass %s", name, flags)
	case took.matched < took.requests && took.matched == 0:
		r.fault(c.correct(flags), "%s", pass)
	case took.requests == 0:
		r.note("%s: no request shows in one packet whether it passes %s", name, flags)
	case took.matched < took.requests:
		r.note("%s", pass)
	}
}

// correct is the remedy for flags that leave out all that was seen.
func (c Config) correct(flags string) string {
	if c.Capture != nil { // which is seen in full
		return "correct " + flags
	}
	return "correct " + flags + ", or watch for longer with --time"
}
