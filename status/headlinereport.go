package status

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"netmirror/outcome"
	"netmirror/requests"
)

// Capture is what a netmirror captures, as it is shown: which one of several this is.
type Capture struct {
	Host      string `json:"host"`
	Interface string `json:"interface"`
	VNI       string `json:"vni"`
	Port      string `json:"port"`
}

// headlineReport is the headline in /status.json, with thresholds in percent.
type headlineReport struct {
	Level  string        `json:"level"` // of the last minute: "ok", "warn", "bad", or "none" where nothing was sent; never "ok" while a target rejects
	Amber  float64       `json:"amber"`
	Red    float64       `json:"red"`
	Minute shareReport   `json:"minute"`
	Start  shareReport   `json:"start"`
	Places []placeReport `json:"places"` // those that something was lost at, the most serious first
}

// shareReport is a Delivery; shares are in percent, and null where there are none.
type shareReport struct {
	Bytes       *float64 `json:"bytes"`
	Streams     *float64 `json:"streams"`
	Sent        uint64   `json:"sent"`
	Lost        uint64   `json:"lost"`
	Whole       uint64   `json:"whole"`
	LostStreams uint64   `json:"lost_streams"`
}

// placeReport is a place at which bytes were lost.
type placeReport struct {
	Place  string `json:"place"`
	Minute uint64 `json:"minute"` // bytes
	Start  uint64 `json:"start"`  // bytes
	Text   string `json:"text"`   // behind a number of bytes
	Remedy string `json:"remedy"`
}

func newShare(d *Delivery) shareReport {
	return shareReport{
		Bytes: percentOrNone(d.Bytes()), Streams: percentOrNone(d.Streams()),
		Sent: d.Sent, Lost: d.LostBytes(), Whole: d.Whole, LostStreams: d.LostStreams,
	}
}

func percentOrNone(share float64) *float64 {
	if math.IsNaN(share) {
		return nil
	}
	p := percent(share)
	return &p
}

func (c *Config) headline(s *Snapshot) headlineReport {
	return headlineReport{
		Level: c.Alert.levelOf(&s.Minute, s.rejecting()), Amber: 100 * c.Alert.Amber, Red: 100 * c.Alert.Red,
		Minute: newShare(&s.Minute), Start: newShare(&s.Start), Places: s.lostAt(),
	}
}

// lostAt are the places at which something was lost: first that of most bytes in the
// last minute, and behind those of the last minute that of most bytes since the start.
func (s *Snapshot) lostAt() []placeReport {
	all := []placeReport{} // for JSON, in which nil is null
	for at := range outcome.NumPlaces {
		if s.Start.Lost[at] == 0 {
			continue
		}
		p := placeReport{Place: at.String(), Minute: s.Minute.Lost[at], Start: s.Start.Lost[at], Text: at.Text(), Remedy: at.Remedy()}
		switch at {
		case outcome.PlaceNetmirror:
			p.Text, p.Remedy = s.inNetmirror(p.Text)
		case outcome.PlaceTarget:
			if h := s.target(); h.Tried && !h.Answers {
				p.Text = "were lost at the target, which does not answer"
			}
		}
		all = append(all, p)
	}
	slices.SortStableFunc(all, func(a, b placeReport) int {
		return cmp.Or(cmp.Compare(b.Minute, a.Minute), cmp.Compare(b.Start, a.Start))
	})
	return all
}

// inNetmirror says for which reasons netmirror has lost bytes, that of most first, and
// what to do about it.
func (s *Snapshot) inNetmirror(text string) (sentence, remedy string) {
	var all []reason
	s.lostInNetmirror(func(r reason) {
		if r.n > 0 {
			all = append(all, r)
		}
	})
	slices.SortStableFunc(all, func(a, b reason) int { return cmp.Compare(b.n, a.n) })
	var parts []string
	for _, r := range all {
		parts = append(parts, r.shown)
	}
	if len(all) > 0 {
		remedy = all[0].remedy
	}
	return text + ": " + strings.Join(parts, ", "), remedy
}

// reason is one that netmirror can lose bytes for, and how many.
type reason struct {
	name, shown, remedy string
	n                   uint64
}

// lostInNetmirror calls put for every reason that netmirror can lose bytes for.
func (s *Snapshot) lostInNetmirror(put func(reason)) {
	for why := range outcome.NumDrops {
		if why.Place() != outcome.PlaceNetmirror {
			continue
		}
		var n uint64
		for i := range s.Services {
			n += s.Services[i].Lost[why]
		}
		w := why.Words()
		put(reason{w.Name, w.Shown, w.Remedy, n})
	}
	var r requests.Stats
	for i := range s.Services {
		r.Add(s.Services[i].Bridge.Requests)
	}
	put(reason{"head_too_large", "of requests with a head too large to be judged", outcome.ProblemHeadTooLarge.Remedy(), r.BytesTooLarge})
	put(reason{"ambiguous", "of requests whose beginning is ambiguous", outcome.ProblemAmbiguous.Remedy(), r.BytesAmbiguous})
}

// headlineAttrs are the headline's attributes for a line of the log. Shares that are not
// defined are left out.
func headlineAttrs(start, minute *Delivery) (attrs []any) {
	for _, share := range []struct {
		key string
		of  float64
	}{
		{"delivered_percent", start.Bytes()}, {"delivered_percent_minute", minute.Bytes()},
		{"whole_streams_percent", start.Streams()}, {"whole_streams_percent_minute", minute.Streams()},
	} {
		if p := percentOrNone(share.of); p != nil {
			attrs = append(attrs, share.key, *p)
		}
	}
	for at, n := range start.Lost {
		attrs = some(attrs, "bytes_lost_"+outcome.Place(at).String(), n)
	}
	return attrs
}

// LogEnd logs the figures of a run that is over, and a line for each place where
// something was lost, and for what was never heard.
func (m *Monitor) LogEnd() {
	s := m.LogFigures()
	for _, p := range m.unheard(s) {
		m.cfg.Log.Warn(p.Text, "do", p.Remedy)
	}
	for _, p := range s.lostAt() {
		m.cfg.Log.Info("bytes "+p.Text, "bytes", p.Start, "of", s.Start.Sent, "do", p.Remedy)
	}
}

// unheard says what has not come, or was left out, until a run was over.
func (m *Monitor) unheard(s *Snapshot) (all []Problem) {
	m.mu.Lock()
	defer m.mu.Unlock()
	silent, leftOut := m.watch.unheard.look(s, 0)
	switch {
	case s.Frames == 0:
		all = append(all, silence(nil))
	case len(silent) > 0:
		all = append(all, silence(silent))
	}
	if len(leftOut) > 0 {
		all = append(all, allLeftOut(leftOut))
	}
	return all
}
