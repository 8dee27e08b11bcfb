package status

import (
	"cmp"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"netmirror/stack"
	"netmirror/wire"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// flow is one of /flows.
type flow struct {
	Service    string `json:"service"`
	VNI        uint32 `json:"vni"`
	Client     string `json:"client"`
	Server     string `json:"server"`
	State      string `json:"state"`
	PickedUp   bool   `json:"picked_up"`
	Bytes      uint64 `json:"bytes"`       // received in order
	Held       uint64 `json:"held"`        // bytes that wait for a missing packet or for the target
	Age        int64  `json:"age"`         // milliseconds
	LastPacket int64  `json:"last_packet"` // milliseconds ago
}

// flowPage is the answer of /flows.
type flowPage struct {
	Total   int    `json:"total"`   // connections that are followed
	Matched int    `json:"matched"` // of them, those that the filters let through
	Offset  int    `json:"offset"`
	Flows   []flow `json:"flows"`
}

// query is which flows are asked for.
type query struct {
	limit, offset int
	sort          string          // one of sorts
	state         stack.FlowState // "": any
	vni           int64           // -1: any
	client        netip.Prefix    // zero: any
	port          uint16          // of the client; 0: any
	service       string          // "": any
}

// sorts are the orders that flows can be asked for in.
var sorts = map[string]func(a, b *stack.FlowInfo) int{
	"age":   func(a, b *stack.FlowInfo) int { return a.Opened.Compare(b.Opened) },
	"held":  func(a, b *stack.FlowInfo) int { return cmp.Compare(b.Held, a.Held) },
	"bytes": func(a, b *stack.FlowInfo) int { return cmp.Compare(b.Received, a.Received) },
	"idle":  func(a, b *stack.FlowInfo) int { return a.LastPacket.Compare(b.LastPacket) },
}

// listing is the connections of a moment, in each order that was asked for.
type listing struct {
	at     time.Time
	all    []stack.FlowInfo
	sorted map[string][]*stack.FlowInfo // of all
}

// liveFlows are the connections of at most a second ago, in the order of sort, and
// how old that is. The list is not changed any more. Whoever asks over and over
// costs one listing, and one sorting of each kind, a second.
func (m *Monitor) liveFlows(sort string) (at time.Time, flows []*stack.FlowInfo) {
	m.flowsMu.Lock()
	defer m.flowsMu.Unlock()
	l := &m.flows
	if now := time.Now(); l.sorted == nil || now.Sub(l.at) >= time.Second {
		*l = listing{now, m.cfg.Source.Flows(), make(map[string][]*stack.FlowInfo)}
	}
	flows, ok := l.sorted[sort]
	if !ok {
		for i := range l.all {
			flows = append(flows, &l.all[i])
		}
		slices.SortFunc(flows, func(a, b *stack.FlowInfo) int { return cmp.Or(sorts[sort](a, b), a.Opened.Compare(b.Opened)) })
		l.sorted[sort] = flows
	}
	return l.at, flows
}

// number reads one from 0 on.
func number(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, errors.New("need a number from 0")
	}
	return int64(n), nil
}

// parseQuery reads the parameters; the error says which one is wrong, and what it
// may be.
func parseQuery(v url.Values) (q query, err error) {
	q = query{limit: defaultLimit, vni: -1, sort: "age"}
	for name, values := range v {
		text := values[0]
		var n int64
		switch name {
		case "limit":
			if n, err = number(text); err != nil || n < 1 || n > maxLimit {
				err = errors.New("need a number from 1 to " + strconv.Itoa(maxLimit))
			}
			q.limit = int(n)
		case "offset":
			n, err = number(text)
			q.offset = int(n)
		case "vni":
			if q.vni, err = number(text); err == nil && q.vni > wire.MaxVNI {
				err = errors.New("need a number from 0 to " + strconv.Itoa(wire.MaxVNI))
			}
		case "sort":
			if q.sort = text; sorts[text] == nil {
				err = errors.New("need age, bytes, held or idle")
			}
		case "state":
			if q.state = stack.FlowState(text); text != "" && !slices.Contains(stack.FlowStates, q.state) {
				err = errors.New("need seeking, opening, open, gap or backlog")
			}
		case "client":
			if text != "" {
				err = q.setClient(text)
			}
		case "service":
			q.service = text
		default:
			err = errors.New("no such parameter; there are limit, offset, sort, state, vni, client and service")
		}
		if len(values) > 1 {
			err = errors.New("give it once")
		}
		if err != nil {
			return q, errors.New(strconv.Quote(name) + ": " + err.Error())
		}
	}
	return q, nil
}

// setClient takes an address, one with a port, or a prefix.
func (q *query) setClient(text string) error {
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		q.client = netip.PrefixFrom(addr, addr.BitLen())
		return nil
	}
	if ap, err := netip.ParseAddrPort(text); err == nil {
		q.client, q.port = netip.PrefixFrom(ap.Addr(), ap.Addr().BitLen()), ap.Port()
		return nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return errors.New("need an address, like 10.0.0.1, 10.0.0.1:40000 or 10.0.0.0/8")
	}
	q.client = p
	return nil
}

// wants says whether a flow is asked for, whose service has a name.
func (q *query) wants(f *stack.FlowInfo, name string) bool {
	return (q.state == "" || f.State == q.state) &&
		(q.service == "" || q.service == name) &&
		(q.vni < 0 || int64(f.VNI) == q.vni) &&
		(!q.client.IsValid() || q.client.Contains(f.Client.Addr())) &&
		(q.port == 0 || q.port == f.Client.Port())
}

// serveFlows answers /flows.
func (m *Monitor) serveFlows(w http.ResponseWriter, r *http.Request) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil { // values lacks a part of it, and would ask for something else
		http.Error(w, err.Error()+": write NAME=VALUE, with & between them", http.StatusBadRequest)
		return
	}
	q, err := parseQuery(values)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	at, all := m.liveFlows(q.sort)
	names := m.names()
	page := flowPage{Total: len(all), Offset: q.offset, Flows: []flow{}}
	for _, f := range all {
		name := names[f.Service]
		if !q.wants(f, name) {
			continue
		}
		page.Matched++
		if page.Matched <= q.offset || len(page.Flows) == q.limit {
			continue
		}
		page.Flows = append(page.Flows, flow{
			Service: name, VNI: f.VNI, Client: f.Client.String(), Server: f.Server.String(), State: string(f.State), PickedUp: f.PickedUp,
			Bytes: f.Received, Held: f.Held, Age: at.Sub(f.Opened).Milliseconds(), LastPacket: at.Sub(f.LastPacket).Milliseconds(),
		})
	}
	writeJSON(w, page)
}
