package replay

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"netmirror/status"
)

// Whose tells what caused a loss.
type Whose uint8

const (
	// OfFile: the files do not hold it.
	OfFile Whose = iota
	// OfReplay: the files hold it, but the target did not get it.
	OfReplay
	// OfSettings: it was left out on purpose. That is no loss.
	OfSettings
	// Forwarded: it was forwarded, and perhaps is not to be. That is no loss.
	Forwarded
)

// Loss is a reason why something was not forwarded.
type Loss struct {
	Whose Whose
	Count uint64
	Text  string // behind the number
}

// Figures are the results of a replay.
type Figures struct {
	Packets  uint64
	Bytes    uint64        // of them, as captured
	Span     time.Duration // of the capture
	Took     time.Duration
	Services []ServiceFigures
	Delivery status.Delivery // of all services
	Lost     []Loss          // those with a count of 0 do not count
	Faults   []error         // of files that could not be read to their end
	Cut      bool            // the replay was ended before the files had been read
}

// ServiceFigures are those of one service's connections.
type ServiceFigures struct {
	Name      string
	Streams   uint64 // connections made to the target
	Complete  uint64 // of them, those that ended as the client ended them
	Open      uint64 // of them, those that go on at the end of the files
	Bytes     uint64 // of clients, in the files, repeats included
	Forwarded uint64 // bytes that the target took
	LeftOut   uint64 // packets of clients and connections that the settings do not take
	Delivery  status.Delivery
}

// Exit statuses of a replay.
const (
	StatusAll    = 0 // all that the files hold was forwarded
	StatusFailed = 1 // something that they hold was not
	StatusGaps   = 3 // all that they hold was, but they do not hold all, or nothing to forward
)

// Status is the exit status for the figures.
func (f *Figures) Status() int {
	status := StatusAll
	if len(f.Faults) > 0 || f.nothing() {
		status = StatusGaps
	}
	for _, l := range f.Lost {
		switch {
		case l.Count == 0 || l.Whose == OfSettings || l.Whose == Forwarded:
		case l.Whose == OfReplay:
			return StatusFailed
		default:
			status = StatusGaps
		}
	}
	if f.Cut {
		return StatusFailed
	}
	return status
}

// nothing reports whether nothing was forwarded, and the files hold nothing of a service.
func (f *Figures) nothing() bool {
	forwarded := func(s ServiceFigures) bool { return s.Streams > 0 }
	return len(f.without()) > 0 && !slices.ContainsFunc(f.Services, forwarded)
}

// without are the names of the services that the files hold nothing of.
func (f *Figures) without() []string {
	return f.named(func(s ServiceFigures) bool { return s.Streams == 0 && s.LeftOut == 0 })
}

// named are the names of the services of which is says so.
func (f *Figures) named(is func(ServiceFigures) bool) (names []string) {
	for _, s := range f.Services {
		if is(s) {
			names = append(names, s.Name)
		}
	}
	return names
}

// Write writes the figures for people.
func (f *Figures) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%d packets, %d bytes, captured in %v, replayed in %v\n", f.Packets, f.Bytes, round(f.Span), round(f.Took))
	if f.Delivery.Sent > 0 {
		fmt.Fprintf(t, "%s of the bytes that the clients sent reached the target; %s of the streams came whole\n", f.Delivery.BytesText(), f.Delivery.StreamsText())
	}
	fmt.Fprint(t, "service\tconnections\tcomplete\topen at the end\tbytes of clients\tforwarded\treached the target\t\n")
	for _, s := range f.Services {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t\n", s.Name, s.Streams, s.Complete, s.Open, s.Bytes, s.Forwarded, s.Delivery.BytesText())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return f.writeLosses(w)
}

func (f *Figures) writeLosses(w io.Writer) error {
	for _, part := range []struct {
		whose Whose
		title string
	}{{OfFile, "not in the capture:"}, {OfReplay, "in the capture, but not forwarded:"}, {OfSettings, "left out, as the settings say:"}, {Forwarded, "forwarded, but perhaps by mistake:"}} {
		title := part.title
		for _, l := range f.Lost {
			if l.Count == 0 || l.Whose != part.whose {
				continue
			}
			if title != "" {
				fmt.Fprintln(w, title)
				title = ""
			}
			if _, err := fmt.Fprintf(w, "  %d %s\n", l.Count, l.Text); err != nil {
				return err
			}
		}
	}
	for _, fault := range f.Faults {
		fmt.Fprintln(w, "file:", fault)
	}
	left := f.named(func(s ServiceFigures) bool { return s.Streams == 0 && s.LeftOut > 0 })
	if len(left) > 0 && len(left) < len(f.Services) {
		fmt.Fprintf(w, "the settings leave out all that the capture has of %s\n", strings.Join(left, ", "))
	}
	if names := f.without(); len(names) > 0 && len(names) < len(f.Services) {
		fmt.Fprintf(w, "the capture has no connection that could be forwarded of %s; netmirror check --read FILE says what is in it\n", strings.Join(names, ", "))
	}
	_, err := fmt.Fprintln(w, f.verdict())
	return err
}

// allLeftOut reports whether nothing was forwarded, and the settings alone are the reason.
func (f *Figures) allLeftOut() bool {
	forwarded := func(s ServiceFigures) bool { return s.Forwarded > 0 }
	another := func(l Loss) bool { return l.Count > 0 && (l.Whose == OfFile || l.Whose == OfReplay) }
	return f.someLeftOut() && len(f.Faults) == 0 && !slices.ContainsFunc(f.Services, forwarded) && !slices.ContainsFunc(f.Lost, another)
}

// someLeftOut reports whether the settings leave out something that the files hold.
func (f *Figures) someLeftOut() bool {
	return slices.ContainsFunc(f.Lost, func(l Loss) bool { return l.Whose == OfSettings && l.Count > 0 })
}

func (f *Figures) verdict() string {
	switch {
	case f.Cut:
		return "ended before all was read"
	case f.allLeftOut():
		return "nothing was forwarded: the settings above leave out all that the capture has of the service; correct them if that is not meant"
	case f.Status() == StatusAll && f.someLeftOut():
		return "all that the capture holds was forwarded, but for what the settings leave out"
	case f.Status() == StatusAll:
		return "all that the capture holds was forwarded"
	case f.Packets == 0 && f.Status() == StatusGaps:
		return "nothing was forwarded: there is no packet in the capture"
	case f.Status() == StatusGaps && f.nothing():
		return "nothing was forwarded: the capture has no connection of the service that could be; netmirror check --read FILE says what is in it"
	case f.Status() == StatusGaps:
		return "all that could be was forwarded; the capture does not hold all that clients sent"
	}
	return "not all that the capture holds was forwarded"
}

// round is a duration with three digits or so.
func round(d time.Duration) time.Duration {
	for unit := 1000 * time.Second; unit > time.Microsecond; unit /= 10 {
		if d >= unit {
			return d.Round(unit / 100)
		}
	}
	return d
}
