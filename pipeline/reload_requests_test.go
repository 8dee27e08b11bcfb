package pipeline

import (
	"testing"
	"time"

	"netmirror/requests"
)

// What becomes of requests may change while the target stays: new streams have it so, open
// ones as they began, and what is the same is no change.
func TestReloadChangesRequests(t *testing.T) {
	const (
		first  = "GET / HTTP/1.1\r\n\r\n"
		second = "GET /api HTTP/1.1\r\n\r\n"
	)
	for _, row := range []struct {
		name   string
		change func(*Service)
		want   string
	}{
		{"marks", func(s *Service) { s.Target.Requests = rules(t, requests.Config{Marks: []string{"X-Shadow: 1"}}) },
			"GET / HTTP/1.1\r\nX-Shadow: 1\r\n\r\nGET /api HTTP/1.1\r\nX-Shadow: 1\r\n\r\n"},
		{"paths", func(s *Service) { s.Target.Requests = rules(t, requests.Config{Paths: []string{"/api"}}) }, second},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, streams := target(t)
			was := forwarding(t, "shop", "1:8080", a)
			r := startReloads(t, 1, 10*time.Second, was)
			r.give(segment(t, 1, 0, "S", ""), segment(t, 1, 1, "A", first))
			for r.Snapshot().Bridge.Open == 0 {
				time.Sleep(time.Millisecond)
			}
			is, same := was, was
			row.change(&is)
			row.change(&same)
			r.reload(Changes{Changed: []string{"shop"}}, is)
			r.reload(Changes{}, same)
			r.give(wholeConnection(t, 2, first+second)...)
			wantStream(t, "a stream that is new", streams, row.want)
			r.give(segment(t, 1, 1+uint32(len(first)), "AF", first))
			wantStream(t, "the stream that was open", streams, first+first)
			r.end()
		})
	}
}

func rules(t *testing.T, c requests.Config) *requests.Rules {
	t.Helper()
	r, err := requests.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
