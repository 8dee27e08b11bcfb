package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"netmirror/decap"
	"netmirror/link"
	asked "netmirror/service"
	"netmirror/source"
	"netmirror/tap"
	"netmirror/wire"
)

const (
	ringBytes  = 16 << 20
	blockBytes = 128 << 10
)

// look captures on the interface for the time given. If that is not allowed, or the interface
// was removed before anything came, it reports that and returns nil.
func look(ctx context.Context, r *report, c Config, ifi *net.Interface) (*seen, error) {
	ring, err := tap.Open(tap.Config{Interface: ifi.Name, Mirror: c.Mirror, RingBytes: ringBytes, BlockBytes: blockBytes})
	if errors.Is(err, tap.ErrPermission) {
		needed := capabilities(c)
		r.fault(tap.Grant(needed...), "capture: not allowed; it needs %s", strings.Join(needed, " and "))
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer ring.Close()
	r.ok("capture: allowed, CAP_NET_RAW is there")
	beside, err := listenBeside(ifi.Index, c.ports())
	if err != nil {
		return nil, fmt.Errorf("check: listening beside the mirror's port: %w", err)
	}
	r.say("looking at %s on %s for %v ...", c.places(), ifi.Name, c.Time)
	s, err := watch(ctx, ring, c)
	s.mtu, s.beside, s.others = ifi.MTU, beside.end(), beside.bare
	return r.stayed(c, s, err)
}

// stayed returns what was seen. If the interface was removed, it reports that, and returns nil if
// nothing had come.
func (r *report) stayed(c Config, s *seen, err error) (*seen, error) {
	if !errors.Is(err, link.ErrGone) {
		return s, err
	}
	r.fault("start again when "+c.Interface+" is back", "interface %s: it was removed during the check", c.Interface)
	if s.frames == 0 {
		return nil, nil
	}
	return s, nil
}

// watch takes the packets of a source in until the time is over, or
// ctx; those of a file to its end.
func watch(ctx context.Context, from source.Source, c Config) (*seen, error) {
	if c.Capture == nil {
		timer := time.AfterFunc(c.Time, from.Stop)
		defer timer.Stop()
	}
	unhook := context.AfterFunc(ctx, from.Stop)
	defer unhook()
	s := newSeen(c)
	clock := lookClock{from: from, start: time.Now()}
	var err error
	for err == nil {
		var frames [][]byte
		frames, err = from.Next()
		s.flows.now = clock.passed()
		for _, frame := range frames {
			s.add(frame, from.Start())
		}
	}
	s.took = clock.passed()
	s.capture = from.Stats()
	s.endFragments()
	s.flows.fold()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return s, err
}

// lookClock measures how long a look has taken, by the clock of its source.
type lookClock struct {
	from  source.Source
	start time.Time
	begun bool
}

func (c *lookClock) passed() time.Duration {
	if c.from.Clock() == source.Wall {
		return time.Since(c.start)
	}
	if !c.begun {
		c.begun, c.start = true, c.from.BatchTime()
	}
	return c.from.BatchTime().Sub(c.start)
}

// seen is what a look at the mirror gave. Whatever grows with the packets is bounded.
type seen struct {
	probe    *decap.Probe
	parts    fragments
	bare     bool // there is no mirror's encapsulation
	mtu      int  // of the interface, bytes; 0: of several
	took     time.Duration
	frames   uint64 // that came as the mirror's packets do, after fragments were joined
	reasons  [decap.NumReasons]uint64
	cutAt    int // of packets that were cut within their headers, the longest, in bytes of IP
	vnis     *top[uint32, network]
	layouts  *top[layout, uint64]
	flows    *flows
	services *top[serviceID, service]
	capture  source.Stats
	beside   map[place]uint64
	others   uint64 // TCP packets for other hosts that came as they are, where nothing came from a mirror
}

// layout is how packets were wrapped, and what was in front of their IP inside.
type layout struct {
	encap  wire.Encap
	form   decap.Form
	vni    uint32
	layers decap.Layers
}

// network is what was seen of a VNI.
type network struct{ packets, tcp uint64 }

func newSeen(c Config) *seen {
	probe, _ := decap.NewProbe(c.Mirror) // which Run has checked
	s := &seen{
		probe: probe, bare: c.Mirror.Bare(),
		layouts:  newTop[layout](func(n *uint64) uint64 { return *n }),
		vnis:     newTop[uint32](func(n *network) uint64 { return n.packets }),
		services: newTop[serviceID]((*service).packets),
	}
	var ports asked.Ports
	for _, of := range c.asked() {
		s.pin(of)
		ports = append(ports, of.Ports...)
	}
	s.flows = newFlows(ports, s.services)
	s.flows.filters = c.filters()
	s.parts = newFragments(c.Mirror, func() time.Time { return time.Time{}.Add(s.flows.now) })
	return s
}

// maxPins is how many ports of a service are kept though others have more packets.
const maxPins = 16

// pin keeps the networks and ports that were asked for: the first maxPins ports of each
// network.
func (s *seen) pin(of asked.Selection) {
	for _, vni := range of.VNIs {
		s.vnis.pin(vni)
		pins := 0
		for _, r := range of.Ports {
			for port := int(r.First); port <= int(r.Last) && pins < maxPins; port++ {
				s.services.pin(serviceID{vni, uint16(port)})
				pins++
			}
		}
	}
}

// add takes in what was captured, which begins with start.
func (s *seen) add(frame []byte, start source.Start) {
	var p decap.Packet
	var sight decap.Sight
	reason, whole := s.look(frame, start, &p, &sight)
	if !whole {
		return
	}
	s.frames++
	s.reasons[reason]++
	if !sight.Wrapped {
		return
	}
	n := s.vnis.at(sight.VNI)
	n.packets++
	*s.layouts.at(layout{sight.Encap, sight.Form, sight.VNI, sight.Layers})++
	switch {
	case reason == decap.OK:
		n.tcp++
		s.flows.add(sight.VNI, readSegment(&p))
	case reason.Cut():
		s.cutAt = max(s.cutAt, len(sight.Carried)-wire.EthernetHeader)
	}
}

// cut is how many packets the mirror cut within their headers.
func (s *seen) cut() uint64 {
	n := s.reasons[decap.VXLANTruncated]
	for r, count := range s.reasons {
		if decap.Reason(r).Cut() {
			n += count
		}
	}
	return n
}
