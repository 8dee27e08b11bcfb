package main

import (
	"log/slog"
	"strings"

	"netmirror/settings"
)

// warnOfOverlaps warns about each service that can take the same connection as an earlier one
// with the same target, which would get it twice.
func warnOfOverlaps(o *settings.Options, log *slog.Logger) {
	for i := range o.Services {
		var others []string
		for j := range o.Services[:i] {
			if playedTwice(&o.Services[i], &o.Services[j]) {
				others = append(others, o.Services[j].Name)
			}
		}
		if len(others) > 0 {
			log.Warn("services overlap and have the same target: it gets what both select twice",
				"service", o.Services[i].Name, "others", strings.Join(others, ", "), "to", o.Services[i].Target,
				"do", "narrow the VNIs or ports of one of them, or leave it out")
		}
	}
}

// playedTwice reports whether two services may send the same connection to one target. If both
// choose among the requests, they are assumed to choose different ones.
func playedTwice(a, b *settings.Service) bool {
	if a.Target != b.Target || !a.Overlaps(b.Selection) {
		return false
	}
	one, _ := a.Settings.ParseClients() // settings has seen to these
	other, _ := b.Settings.ParseClients()
	choose := func(s *settings.Service) bool {
		return len(s.Settings.Requests.Paths)+len(s.Settings.Requests.Hosts) > 0
	}
	return one.Overlaps(other) && !(choose(a) && choose(b))
}
