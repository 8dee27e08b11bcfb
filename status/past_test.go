package status

import (
	"testing"

	"netmirror/bridge"
	"netmirror/outcome"
	"netmirror/requests"
)

// What services have sent and lost stays in the headline when they are gone, and lines
// that netmirror has added are nothing that a client has sent.
func TestDeliveryOfServicesThatAreGone(t *testing.T) {
	one := Service{MissingBytes: 10, Bridge: bridge.Stats{BytesWritten: 100, Requests: requests.Stats{BytesAdded: 20}}}
	one.Lost[outcome.DropGap] = 5
	s := Snapshot{Services: []Service{one}}
	s.Past.Add(one)
	want := Delivery{Sent: 2 * (100 - 20 + 10 + 5)}
	want.Lost[outcome.PlaceBefore] = 2 * (10 + 5)
	if got := s.Delivery(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
