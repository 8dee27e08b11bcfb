package status

import (
	"slices"
	"strings"
	"time"

	"netmirror/outcome"
	"netmirror/service"
)

// unheard says of which services no client was heard. It is used by one goroutine at a time.
type unheard struct {
	begun  map[string]time.Time // when a service was first seen with its settings, by its name
	before map[string]*Service  // the figures of a service when its settings changed
	logged map[string]bool      // the services that the log has as silent
	heard  []string             // of them, those that were heard since; the log is still to have them
}

// look returns the names of the services from whose clients no data has come since they were
// first seen, and of those whose settings leave out all that has come. Those that were seen for
// less than patience are left out.
func (u *unheard) look(s *Snapshot, patience time.Duration) (silent, leftOut []string) {
	begun, changes := make(map[string]time.Time, len(s.Services)), make(map[string]*Service)
	for i := range s.Services {
		f := &s.Services[i]
		at, known := u.begun[f.Name]
		if !known {
			at = s.Time
		}
		begun[f.Name] = at
		before, changed := u.before[f.Name]
		if changed && before == nil {
			before = new(*f)
		}
		if changed {
			changes[f.Name] = before
		}
		switch {
		case s.Time.Sub(at) < patience:
		case f.since(before).isLeftOut():
			leftOut = append(leftOut, f.Name)
		case f.isSilent() && len(s.Services) > 1: // of an only one, the number of frames tells
			silent = append(silent, f.Name)
		}
	}
	u.begun, u.before = begun, changes
	return silent, leftOut
}

// restart begins anew with services whose settings have changed.
func (u *unheard) restart(names []string) {
	if u.before == nil {
		u.before = make(map[string]*Service)
	}
	for _, name := range names {
		u.before[name] = nil // until they are looked at
		delete(u.begun, name)
	}
}

// since is the service with the figures that isLeftOut asks for counted from before on. before may
// be nil.
func (f *Service) since(before *Service) *Service {
	if before == nil {
		return f
	}
	n := *f
	n.Bytes -= before.Bytes
	for i := range n.LeftOut {
		n.LeftOut[i] -= before.LeftOut[i]
	}
	n.Bridge.BytesWritten -= before.Bridge.BytesWritten
	requests, then := &n.Bridge.Requests, &before.Bridge.Requests
	requests.Matched -= then.Matched
	requests.NotMatched -= then.NotMatched
	requests.NotHTTP -= then.NotHTTP
	requests.BytesLeftOut -= then.BytesLeftOut
	return &n
}

// told notes which services the log has as silent, if it has a new line: those named, or all.
// Those of the lines before that were heard meanwhile become heard.
func (u *unheard) told(s *Snapshot, silent []string, line bool) {
	for i := range s.Services {
		f := &s.Services[i]
		switch {
		case f.wasHeard() && u.logged[f.Name]:
			u.heard = append(u.heard, f.Name)
			delete(u.logged, f.Name)
		case !f.wasHeard() && line && (len(silent) == 0 || slices.Contains(silent, f.Name)):
			if u.logged == nil {
				u.logged = make(map[string]bool)
			}
			u.logged[f.Name] = true
		}
	}
}

// isSilent reports whether no data has come from a client.
func (f *Service) isSilent() bool { return f.Flows == 0 && !f.wasHeard() }

// wasHeard reports whether something of a client has come that cannot be a stranger's knock.
func (f *Service) wasHeard() bool {
	return f.Bytes > 0 || f.Bridge.Streams > 0 || f.OverRate > 0 || f.LeftOut != [service.NumLeftOut]uint64{}
}

// isLeftOut reports whether clients were heard, and none of them, or none of their requests, is
// one of those asked for. A sample is left out of this: it may be small on purpose.
func (f *Service) isLeftOut() bool {
	asked := &f.Bridge.Requests
	noneAsked := asked.NotMatched > 0 || asked.NotHTTP > 0 && asked.BytesLeftOut > 0
	return f.Bytes == 0 && f.LeftOut[service.ExcludedClient] > 0 && f.LeftOut[service.NotSampled] == 0 ||
		noneAsked && asked.Matched == 0 && f.Bridge.BytesWritten == 0
}

// silence is that nothing was heard, or nothing of some services.
func silence(of []string) Problem {
	p := newProblem(outcome.ProblemSilence)
	if len(of) > 0 {
		p.Text = "no data of a client has come so far for " + strings.Join(of, ", ")
	}
	return p
}

// allLeftOut is that the settings of some services leave out all that comes.
func allLeftOut(of []string) Problem {
	p := newProblem(outcome.ProblemLeftOut)
	p.Text += ": " + strings.Join(of, ", ")
	return p
}
