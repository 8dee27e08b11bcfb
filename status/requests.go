package status

import "netmirror/requests"

// figure is one of the requests, as the log and /status.json have it.
type figure struct {
	name string
	n    uint64
}

// requestFigures are those that count something: none where no request is altered.
func requestFigures(s *requests.Stats) (all []figure) {
	for _, f := range []figure{
		{"requests_marked", s.Marked},
		{"requests_matched", s.Matched},
		{"requests_not_matched", s.NotMatched},
		{"requests_head_too_large", s.TooLarge},
		{"streams_not_http1", s.NotHTTP},
		{"streams_tunnel", s.Tunnels},
		{"streams_ambiguous", s.Ambiguous},
		{"bytes_added", s.BytesAdded},
		{"bytes_left_out", s.BytesLeftOut},
		{"bytes_head_too_large", s.BytesTooLarge},
		{"bytes_ambiguous", s.BytesAmbiguous},
	} {
		if f.n > 0 {
			all = append(all, f)
		}
	}
	return all
}

// requestAttrs adds the figures of requests to a line of the log.
func requestAttrs(attrs []any, s *requests.Stats) []any {
	for _, f := range requestFigures(s) {
		attrs = append(attrs, f.name, f.n)
	}
	return attrs
}

// requestMetrics are the figures of requests for Prometheus.
var requestMetrics = []metric{
	ofRequests("netmirror_service_marked_requests_total", "Requests that --mark-requests has added lines to.",
		func(s *requests.Stats) uint64 { return s.Marked }),
	ofRequests("netmirror_service_matched_requests_total", "Requests that --only-path and --only-host let pass.",
		func(s *requests.Stats) uint64 { return s.Matched }),
	{
		name: "netmirror_service_left_out_requests_total", help: "Requests that --only-path and --only-host leave out: no loss, but for a head that is too large to be judged.", label: "reason",
		eachOf: func(s *Service, put func(string, float64)) {
			put("not_matched", float64(s.Bridge.Requests.NotMatched))
			put("head_too_large", float64(s.Bridge.Requests.TooLarge))
		},
	},
	{
		name: "netmirror_service_unmarked_streams_total", help: "Streams in which no request can be told, from their start or from some place on: they go on unmarked or, with --only-path and --only-host, are left out.", label: "reason",
		eachOf: func(s *Service, put func(string, float64)) {
			put("not_http1", float64(s.Bridge.Requests.NotHTTP))
			put("tunnel", float64(s.Bridge.Requests.Tunnels))
			put("ambiguous", float64(s.Bridge.Requests.Ambiguous))
		},
	},
	ofRequests("netmirror_service_added_bytes_total", "Bytes that --mark-requests added; no client sent them.",
		func(s *requests.Stats) uint64 { return s.BytesAdded }),
	{
		name: "netmirror_service_left_out_bytes_total", help: "Bytes of streams that --only-path and --only-host leave out: no loss, but for those that could not be judged, by head_too_large or ambiguous.", label: "reason",
		eachOf: func(s *Service, put func(string, float64)) {
			r := &s.Bridge.Requests
			put("not_matched", float64(r.BytesLeftOut-min(r.Unjudged(), r.BytesLeftOut)))
			put("head_too_large", float64(r.BytesTooLarge))
			put("ambiguous", float64(r.BytesAmbiguous))
		},
	},
}

func ofRequests(name, help string, value func(*requests.Stats) uint64) metric {
	return metric{name: name, help: help, of: func(s *Service) float64 { return float64(value(&s.Bridge.Requests)) }}
}
