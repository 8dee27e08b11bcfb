package status

import (
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"netmirror/bridge"
	"netmirror/decap"
	"netmirror/defrag"
	"netmirror/outcome"
	"netmirror/service"
)

// metric is a figure of the snapshot for Prometheus.
type metric struct {
	name, help string
	gauge      bool
	value      func(*Snapshot) float64                // one value
	label      string                                 // or one for each value of a label
	values     func(*Snapshot, func(string, float64)) // in a fixed order

	of     func(*Service) float64                // or one for each service
	eachOf func(*Service, func(string, float64)) // or one for each service and value of label
}

// labels are the names of the labels.
func (f *metric) labels() (names []string) {
	if f.of != nil || f.eachOf != nil {
		names = append(names, "service")
	}
	if f.label != "" {
		names = append(names, f.label)
	}
	return names
}

// collect calls put with every value and those of the labels.
func (f *metric) collect(s *Snapshot, put func(v float64, labels ...string)) {
	switch {
	case f.value != nil:
		put(f.value(s))
	case f.values != nil:
		f.values(s, func(label string, v float64) { put(v, label) })
	}
	for i := range s.Services {
		of := &s.Services[i]
		switch {
		case f.of != nil:
			put(f.of(of), of.Name)
		case f.eachOf != nil:
			f.eachOf(of, func(label string, v float64) { put(v, of.Name, label) })
		}
	}
}

func count(name, help string, value func(*Snapshot) uint64) metric {
	return metric{name: name, help: help, value: func(s *Snapshot) float64 { return float64(value(s)) }}
}

func gauge(name, help string, value func(*Snapshot) float64) metric {
	return metric{name: name, help: help, gauge: true, value: value}
}

func each(name, label, help string, values func(*Snapshot, func(string, float64))) metric {
	return metric{name: name, help: help, label: label, values: values}
}

// metrics are all of them, but for the histograms and what Go's own collectors
// tell. Every counter counts since the start.
//
//	tap_packets + defrag_joined_packets + service_copied_packets = decap_dropped_packets + stack_packets + service_left_out_packets + defrag_fragments
//	defrag_fragments = defrag_joined_fragments + defrag_dropped_fragments + defrag_held_fragments
//	stack_packets = stack_forwarded_packets + stack_held_packets + stack_dropped_packets
//	stack_bytes + service_added_bytes = bridge_written_bytes + service_left_out_bytes + stack_held_bytes + stack_dropped_bytes
//	stack_streams = bridge_connections + bridge_waiting_streams + bridge_streams_ended
//	sent_bytes + service_added_bytes + bridge_unacknowledged_bytes = bridge_written_bytes + lost_bytes
//
// whenever nothing is being worked on.
var metrics = append([]metric{
	count("netmirror_sent_bytes_total", "Bytes of clients whose fate is known, each counted once: written to the target's connections, or lost.",
		func(s *Snapshot) uint64 { return s.Start.Sent }),
	each("netmirror_lost_bytes_total", "place", "Of netmirror_sent_bytes_total, the bytes that did not reach the target, by where they were lost.",
		func(s *Snapshot, put func(string, float64)) { putPlaces(&s.Start, put) }),
	each("netmirror_lost_here_bytes_total", "reason", "Of the lost bytes, those of the place netmirror, by reason.",
		func(s *Snapshot, put func(string, float64)) {
			s.lostInNetmirror(func(r reason) { put(r.name, float64(r.n)) })
		}),
	{
		name: "netmirror_delivered_ratio", gauge: true, label: "span",
		help:   "Share of the bytes sent that reached the target, 0 to 1, in the last minute and since the start; NaN where none were sent.",
		values: func(s *Snapshot, put func(string, float64)) { putShares(s.Minute.Bytes(), s.Start.Bytes(), put) },
	},
	{
		name: "netmirror_whole_streams_ratio", gauge: true, label: "span",
		help:   "Share of the ended streams that came whole, 0 to 1, in the last minute and since the start; NaN where none ended.",
		values: func(s *Snapshot, put func(string, float64)) { putShares(s.Minute.Streams(), s.Start.Streams(), put) },
	},
	count("netmirror_interface_dropped_packets_total", "Packets that the interface dropped or missed (rx_dropped, rx_missed_errors) since netmirror began.",
		func(s *Snapshot) uint64 { return s.InterfaceDrops }),
	count("netmirror_tap_packets_total", "Frames that the capture handed over.",
		func(s *Snapshot) uint64 { return s.Frames }),
	count("netmirror_tap_ring_dropped_packets_total", "Packets that found the ring full, so that netmirror never saw them.",
		func(s *Snapshot) uint64 { return s.Ring.Drops }),
	count("netmirror_tap_cut_packets_total", "Frames that the ring had no room for in full.",
		func(s *Snapshot) uint64 { return s.Ring.Cut }),
	count("netmirror_tap_split_packets_total", "Packets of several mirrored ones, aggregated on the way, that were split.",
		func(s *Snapshot) uint64 { return s.Ring.Aggregates }),
	count("netmirror_tap_unsplit_packets_total", "Aggregated packets that could not be split: only the first mirrored packet in each was read.",
		func(s *Snapshot) uint64 { return s.Ring.Unsplit }),
	each("netmirror_tap_dropped_fragments_total", "reason", "Outer IP fragments that never became a packet.",
		func(s *Snapshot, put func(string, float64)) {
			for d := range defrag.Drops {
				put(d.String(), float64(s.Ring.FragmentsDropped[d]))
			}
		}),
	gauge("netmirror_tap_link_up", "1 while the interface is up; 0 also while it has no carrier.",
		func(s *Snapshot) float64 {
			if len(s.Ring.Down) > 0 {
				return 0
			}
			return 1
		}),
	count("netmirror_tap_link_downs_total", "How often the interface went down or lost its carrier.",
		func(s *Snapshot) uint64 { return s.Ring.LinkDowns }),
	gauge("netmirror_tap_ring_used_ratio", "Part of the ring that waits for netmirror, 0 to 1.", (*Snapshot).RingUse),
	gauge("netmirror_tap_ring_bytes", "Memory of the ring, all of which counts in process_resident_memory_bytes; 0 with --capture udp.",
		func(s *Snapshot) float64 { return float64(s.Ring.Mapped) }),
	each("netmirror_decap_dropped_packets_total", "reason", "Packets that are not of the service, or cannot be read.",
		func(s *Snapshot, put func(string, float64)) {
			for r := decap.OK + 1; r < decap.NumReasons; r++ {
				put(r.String(), float64(s.Decap[r]))
			}
		}),
	count("netmirror_defrag_fragments_total", "IP fragments of mirrored packets that may belong to the service.",
		func(s *Snapshot) uint64 { return s.Inner.FragmentsReceived }),
	count("netmirror_defrag_joined_fragments_total", "Fragments of mirrored packets that were put together.",
		func(s *Snapshot) uint64 { return s.Inner.FragmentsReassembled }),
	count("netmirror_defrag_joined_packets_total", "Mirrored packets that were put together from fragments.",
		func(s *Snapshot) uint64 { return s.Inner.Reassembled }),
	each("netmirror_defrag_dropped_fragments_total", "reason", "Fragments of mirrored packets that never became whole.",
		func(s *Snapshot, put func(string, float64)) {
			for d := range defrag.Drops {
				put(d.String(), float64(s.Inner.FragmentsDropped[d]))
			}
		}),
	gauge("netmirror_defrag_held_fragments", "Fragments of mirrored packets that wait for the rest.",
		func(s *Snapshot) float64 { return float64(s.Inner.FragmentsHeld) }),
	count("netmirror_stack_packets_total", "TCP packets of the service, both directions.",
		func(s *Snapshot) uint64 { return s.Stack.Packets }),
	count("netmirror_stack_forwarded_packets_total", "Client packets whose bytes (or SYN, FIN, RST) went into a stream.",
		func(s *Snapshot) uint64 { return s.Stack.Used }),
	each("netmirror_stack_dropped_packets_total", "reason", "Packets that went into no stream.",
		func(s *Snapshot, put func(string, float64)) {
			for d := range outcome.NumDrops {
				put(d.String(), float64(s.Stack.Dropped[d]))
			}
		}),
	gauge("netmirror_stack_held_packets", "Client packets that wait for a missing one or for the target.",
		func(s *Snapshot) float64 { return float64(s.Stack.Held) }),
	count("netmirror_stack_bytes_total", "The clients' payload as received, repeats included.",
		func(s *Snapshot) uint64 { return s.Stack.Bytes }),
	count("netmirror_stack_server_bytes_total", "The servers' payload as received, of which nothing is forwarded.",
		func(s *Snapshot) uint64 { return s.Stack.ServerBytes }),
	each("netmirror_stack_dropped_bytes_total", "reason", "The clients' payload that went into no stream.",
		func(s *Snapshot, put func(string, float64)) {
			for d := range outcome.NumDrops {
				if d != outcome.DropReverse { // which is the servers'
					put(d.String(), float64(s.Stack.DroppedBytes[d]))
				}
			}
		}),
	count("netmirror_stack_missing_bytes_total", "The clients' bytes that the mirror lost or cut: the size of the holes in streams that were given up.",
		func(s *Snapshot) uint64 { return s.Stack.MissingBytes }),
	count("netmirror_stack_holes_total", "Holes in streams that were given up.",
		func(s *Snapshot) uint64 { return s.Stack.Holes }),
	gauge("netmirror_stack_held_bytes", "The clients' payload that waits for a missing packet or for the target.",
		func(s *Snapshot) float64 { return float64(s.Stack.BytesHeld) }),
	gauge("netmirror_stack_flows", "Connections that are followed.",
		func(s *Snapshot) float64 { return float64(s.Stack.Flows) }),
	count("netmirror_stack_streams_total", "Streams opened.",
		func(s *Snapshot) uint64 { return s.Stack.FlowsOpened }),
	count("netmirror_stack_picked_up_streams_total", "Streams that did not begin at a SYN.",
		func(s *Snapshot) uint64 { return s.Stack.PickedUp }),
	count("netmirror_stack_unknown_header_streams_total", "Streams that did not begin at a SYN and whose PROXY protocol header was not seen, where other connections have one.",
		func(s *Snapshot) uint64 { return s.Stack.HeaderUnknown }),
	count("netmirror_stack_mptcp_connections_total", "MPTCP connections whose beginning was seen.",
		func(s *Snapshot) uint64 { return s.Stack.Multipath }),
	count("netmirror_stack_mptcp_subflows_total", "TCP connections of MPTCP connections, beyond the first of each.",
		func(s *Snapshot) uint64 { return s.Stack.Subflows }),
	count("netmirror_stack_not_opened_streams_total", "Streams that gVisor did not open within 5 s, in no other figure of streams.",
		func(s *Snapshot) uint64 { return s.Stack.FlowsEnded[outcome.EndNotOpened] }),
	count("netmirror_stack_spliced_holes_total", "With --on-gap splice: how often a stream was altered.",
		func(s *Snapshot) uint64 { return s.Stack.Spliced }),
	count("netmirror_stack_spliced_bytes_total", "With --on-gap splice: what is missing in the streams; it is in the missing bytes too.",
		func(s *Snapshot) uint64 { return s.Stack.SplicedBytes }),
	count("netmirror_stack_forgotten_attempts_total", "Connection attempts forgotten to remember newer ones.",
		func(s *Snapshot) uint64 { return s.Stack.HalfOpenLost }),
	gauge("netmirror_bridge_connections", "Streams that have a connection to the target, or are getting one.",
		func(s *Snapshot) float64 { return float64(s.Bridge.Open) }),
	gauge("netmirror_bridge_waiting_streams", "Streams without a connection because --only-path and --only-host have let no request pass so far.",
		func(s *Snapshot) float64 { return float64(s.Bridge.Waiting) }),
	gauge("netmirror_bridge_max_connections", "Streams that may have a connection at a time: --max-conns, or fewer where the limit of open files is lower.",
		func(s *Snapshot) float64 { return float64(s.MaxConns) }),
	each("netmirror_bridge_streams_ended_total", "outcome", "Streams by how they ended.",
		func(s *Snapshot, put func(string, float64)) {
			for e, n := range s.Bridge.Outcomes {
				put(outcome.End(e).String(), float64(n))
			}
		}),
	count("netmirror_bridge_turned_away_streams_total", "Streams beyond netmirror_bridge_max_connections, which end as shed.",
		func(s *Snapshot) uint64 { return s.Bridge.TurnedAway }),
	count("netmirror_bridge_dials_total", "Attempts to connect to the target, retries included.",
		func(s *Snapshot) uint64 { return s.Bridge.Dials }),
	count("netmirror_bridge_dial_errors_total", "Attempts to connect that failed.",
		func(s *Snapshot) uint64 { return s.Bridge.DialErrors }),
	count("netmirror_bridge_written_bytes_total", "Bytes that the target's connections took.",
		func(s *Snapshot) uint64 { return s.Bridge.BytesWritten }),
	count("netmirror_bridge_unacknowledged_bytes_total", "Of the written bytes, those that the target had not acknowledged when its connection was reset.",
		func(s *Snapshot) uint64 { return s.Bridge.BytesUnacked }),
	count("netmirror_bridge_discarded_bytes_total", "Bytes of the target's answers, thrown away.",
		func(s *Snapshot) uint64 { return s.Bridge.BytesDiscarded }),
	count("netmirror_bridge_target_closed_first_total", "Streams whose target closed its side before the client did.",
		func(s *Snapshot) uint64 { return s.Bridge.ClosedFirst }),
	count("netmirror_bridge_target_closed_at_once_total", "Streams that ended as target-closed, and whose target ended within 1 s of their first bytes.",
		func(s *Snapshot) uint64 { return s.Bridge.ClosedAtOnce }),
	gauge("netmirror_bridge_target_up", "1 if the target took the last connection; 0 if it did not, or was not tried yet. With several targets: 1 if all did.",
		func(s *Snapshot) float64 {
			return up(s.target())
		}),
	each("netmirror_reloads_total", "result", "How often the settings were read again (SIGHUP): those that are right, and those with an error, which change nothing.",
		func(s *Snapshot, put func(string, float64)) {
			put("ok", float64(s.Reloads.Done))
			put("error", float64(s.Reloads.Failed))
		}),
	gauge("netmirror_last_reload_timestamp_seconds", "When the settings were last read again, in Unix time; 0: never.",
		func(s *Snapshot) float64 {
			if s.Reloads.Last.IsZero() {
				return 0
			}
			return float64(s.Reloads.Last.UnixMilli()) / 1000
		}),
	count("netmirror_service_copied_packets_total", "Packets of several services, each beyond the first.",
		func(s *Snapshot) uint64 { return s.Copies }),
	{
		name: "netmirror_service_left_out_packets_total", help: "Packets that a service does not take, by --sample and --clients: no loss.", label: "reason",
		eachOf: func(s *Service, put func(string, float64)) {
			for why, n := range s.LeftOut {
				put(service.LeftOut(why).String(), float64(n))
			}
		},
	},
	{
		name: "netmirror_service_over_rate_connections_total", help: "Connections of a service that began beyond its --max-rate, and are left out whole: no loss.",
		of: func(s *Service) float64 { return float64(s.OverRate) },
	},
	{
		name: "netmirror_service_flows", help: "Connections of a service that are followed.", gauge: true,
		of: func(s *Service) float64 { return float64(s.Flows) },
	},
	{
		name: "netmirror_service_bytes_total", help: "The payload of a service's clients as received, repeats included.",
		of: func(s *Service) float64 { return float64(s.Bytes) },
	},
	{
		name: "netmirror_service_written_bytes_total", help: "Bytes that the connections of a service's target took.",
		of: func(s *Service) float64 { return float64(s.Bridge.BytesWritten) },
	},
	{
		name: "netmirror_service_sent_bytes_total", help: "netmirror_sent_bytes_total of a service.",
		of: func(s *Service) float64 { return float64(s.Start.Sent) },
	},
	{
		name: "netmirror_service_lost_bytes_total", help: "netmirror_lost_bytes_total of a service.", label: "place",
		eachOf: func(s *Service, put func(string, float64)) { putPlaces(&s.Start, put) },
	},
	{
		name: "netmirror_service_missing_bytes_total", help: "netmirror_stack_missing_bytes_total of a service.",
		of: func(s *Service) float64 { return float64(s.MissingBytes) },
	},
	{
		name: "netmirror_service_delivered_ratio", help: "netmirror_delivered_ratio of a service.", gauge: true, label: "span",
		eachOf: func(s *Service, put func(string, float64)) { putShares(s.Minute.Bytes(), s.Start.Bytes(), put) },
	},
	{
		name: "netmirror_service_streams_total", help: "Streams of a service.",
		of: func(s *Service) float64 { return float64(s.Bridge.Streams) },
	},
	{
		name: "netmirror_service_streams_ended_total", help: "Streams of a service by how they ended.", label: "outcome",
		eachOf: func(s *Service, put func(string, float64)) {
			for e, n := range s.Bridge.Outcomes {
				put(outcome.End(e).String(), float64(n))
			}
		},
	},
	{
		name: "netmirror_service_connections", help: "Streams of a service that have a connection to the target, or are getting one.", gauge: true,
		of: func(s *Service) float64 { return float64(s.Bridge.Open) },
	},
	{
		name: "netmirror_service_target_up", help: "1 if the service's target took the last connection; 0 if it did not, or was not tried yet.", gauge: true,
		of: func(s *Service) float64 { return up(s.Target) },
	},
}, requestMetrics...)

func putPlaces(d *Delivery, put func(string, float64)) {
	for at := outcome.PlaceNone + 1; at < outcome.NumPlaces; at++ {
		put(at.String(), float64(d.Lost[at]))
	}
}

func putShares(minute, start float64, put func(string, float64)) {
	put("minute", minute)
	put("start", start)
}

// up is 1 for a target that took the last connection.
func up(h bridge.Health) float64 {
	if h.Answers {
		return 1
	}
	return 0
}

// Metrics is what Prometheus is given. Histograms are observed by the stages.
type Metrics struct {
	registry *prometheus.Registry
	latency  prometheus.Histogram
	dial     *prometheus.HistogramVec
}

// NewMetrics makes the histograms.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "netmirror_forwarding_latency_seconds",
			Help:    "Time from the capture of a client's bytes until the target's connection has taken them, sampled: one at a time for each connection.",
			Buckets: []float64{.0005, .001, .002, .003, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		dial: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "netmirror_bridge_dial_duration_seconds",
			Help:    "Time that an attempt to connect to the target took.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 3, 10},
		}, []string{"result"}),
	}
	m.registry.MustRegister(m.latency, m.dial,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, result := range []string{"ok", "error"} {
		m.dial.WithLabelValues(result)
	}
	return m
}

// Latency takes a forwarding latency.
func (m *Metrics) Latency(d time.Duration) { m.latency.Observe(d.Seconds()) }

// DialTime takes how long an attempt to connect took.
func (m *Metrics) DialTime(d time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.dial.WithLabelValues(result).Observe(d.Seconds())
}

// Handler serves the metrics of the histograms, the monitor and the Go runtime.
func (m *Metrics) Handler(monitor *Monitor) http.Handler {
	m.registry.MustRegister(newCollector(monitor))
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: answerWithin})
}

// collector is a prometheus.Collector of the snapshot.
type collector struct {
	monitor *Monitor
	descs   []*prometheus.Desc // of metrics
	info    *prometheus.Desc
	ready   *prometheus.Desc
}

func newCollector(m *Monitor) *collector {
	c := &collector{
		monitor: m,
		info:    prometheus.NewDesc("netmirror_build_info", "1; which netmirror runs.", []string{"version", "goversion"}, nil),
		ready:   prometheus.NewDesc("netmirror_ready", "What /readyz says: 1 while netmirror captures.", nil, nil),
	}
	for _, f := range metrics {
		c.descs = append(c.descs, prometheus.NewDesc(f.name, f.help, f.labels(), nil))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
	ch <- c.info
	ch <- c.ready
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.monitor.snapshot()
	for i, f := range metrics {
		kind := prometheus.CounterValue
		if f.gauge {
			kind = prometheus.GaugeValue
		}
		f.collect(&s, func(v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(c.descs[i], kind, v, labels...)
		})
	}
	ready := 0.0
	if ok, _ := c.monitor.Ready(); ok {
		ready = 1
	}
	ch <- prometheus.MustNewConstMetric(c.ready, prometheus.GaugeValue, ready)
	version, _, _ := strings.Cut(c.monitor.cfg.Version, " ")
	ch <- prometheus.MustNewConstMetric(c.info, prometheus.GaugeValue, 1, version, runtime.Version())
}
