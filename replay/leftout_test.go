package replay

import (
	"strings"
	"testing"

	"netmirror/bridge"
	"netmirror/requests"
	"netmirror/service"
	"netmirror/status"
)

// What the settings leave out is told, and is no failure; a head that nobody could judge
// is one.
func TestLeftOutIsTold(t *testing.T) {
	all := func(change func(*status.Service)) Figures {
		s := status.Service{Name: "shop", Bridge: bridge.Stats{Streams: 3}}
		change(&s)
		p := status.Snapshot{Services: []status.Service{s}, Bridge: s.Bridge}
		return Figures{Services: []ServiceFigures{{Name: "shop", Streams: 3, Forwarded: 9}}, Lost: append(notForwarded(&p), leftOut(&p)...)}
	}
	for _, row := range []struct {
		change func(*status.Service)
		says   string
		status int
	}{
		{func(s *status.Service) { s.OverRate = 79 }, "  79 connections began beyond the rate (--max-rate)\n", StatusAll},
		{func(s *status.Service) { s.LeftOut[service.NotSampled] = 5 }, "  5 packets are of connections that are not in the sample", StatusAll},
		{func(s *status.Service) { s.LeftOut[service.ExcludedClient] = 5 }, "  5 packets are of clients that are not taken", StatusAll},
		{func(s *status.Service) { s.Bridge.Requests = requests.Stats{NotMatched: 4} }, "  4 requests are not among those asked for", StatusAll},
		{func(s *status.Service) { s.Bridge.Requests = requests.Stats{TooLarge: 4} }, "  4 requests were left out because their head", StatusFailed},
	} {
		f := all(row.change)
		var b strings.Builder
		if err := f.Write(&b); err != nil {
			t.Fatal(err)
		}
		purpose := strings.Contains(b.String(), "left out, as the settings say:") && strings.HasSuffix(b.String(), ", but for what the settings leave out\n")
		if got := f.Status(); got != row.status || !strings.Contains(b.String(), row.says) || purpose != (row.status == StatusAll) {
			t.Errorf("status %d, want %d with %q, and:\n%s", got, row.status, row.says, &b)
		}
	}
}

// Where nothing else is left, the settings are the reason, and not the capture.
func TestAllLeftOutIsTold(t *testing.T) {
	for name, f := range map[string]Figures{
		"requests that match none":  {Services: []ServiceFigures{{Name: "shop", Streams: 3, Bytes: 83}}, Lost: []Loss{{OfSettings, 3, "requests"}}},
		"clients that are left out": {Packets: 4, Services: []ServiceFigures{{Name: "shop", LeftOut: 4}}, Lost: []Loss{{OfSettings, 4, "packets"}}},
	} {
		if got := f.verdict(); !strings.HasPrefix(got, "nothing was forwarded: the settings above leave out all") || f.Status() != StatusAll {
			t.Errorf("%s: status %d, %s", name, f.Status(), got)
		}
	}
	refused := Figures{Services: []ServiceFigures{{Name: "shop", Streams: 3}}, Lost: []Loss{{OfSettings, 3, "requests"}, {OfReplay, 1, "refused"}}}
	if got := refused.verdict(); got != "not all that the capture holds was forwarded" {
		t.Errorf("with a target that refuses: %s", got)
	}
}

// A service whose clients are all left out is in the capture, unlike one with a mistyped port.
func TestServiceThatIsLeftOut(t *testing.T) {
	for status, also := range map[int][]ServiceFigures{StatusGaps: nil, StatusAll: {{Name: "pay", Streams: 1, Forwarded: 9}}} {
		f := Figures{Services: append(also, ServiceFigures{Name: "shop", LeftOut: 4}, ServiceFigures{Name: "mail"}), Lost: []Loss{{OfSettings, 4, "packets"}}}
		var b strings.Builder
		if err := f.Write(&b); err != nil {
			t.Fatal(err)
		}
		const wants = "\nthe settings leave out all that the capture has of shop\nthe capture has no connection that could be forwarded of mail;"
		if !strings.Contains(b.String(), wants) || f.Status() != status {
			t.Errorf("status %d, want %d, and:\n%s", f.Status(), status, &b)
		}
	}
}
