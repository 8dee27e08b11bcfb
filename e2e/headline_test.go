package e2e

import (
	"bytes"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"netmirror/e2e/lab"
)

// deliveredAtEnd is what the last stats line says reached the target, in percent.
func (p *process) deliveredAtEnd(t testing.TB) float64 {
	t.Helper()
	lines := p.logged()
	for i := len(lines) - 1; i >= 0; i-- {
		if !strings.Contains(lines[i], "msg=stats") {
			continue
		}
		m := regexp.MustCompile(` delivered_percent=([0-9.]+)`).FindStringSubmatch(lines[i])
		if m == nil {
			t.Fatalf("no headline in %s", lines[i])
		}
		share, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return share
	}
	t.Fatal("netmirror logged no figures")
	return 0
}

// lengths is how many bytes streams had together.
func lengths(all []lab.Record) (sum int64) {
	for i := range all {
		sum += all[i].Len
	}
	return sum
}

// awaitEnds returns when so many streams have ended.
func (p *statusPage) awaitEnds(n float64) (m map[string]float64) {
	p.t.Helper()
	for {
		if m = p.metrics(); sum(m, "netmirror_bridge_streams_ended_total") >= n && m["netmirror_bridge_connections"] == 0 {
			return m
		}
		if p.ctx.Err() != nil {
			p.t.Fatalf("%v streams have ended, want %v", sum(m, "netmirror_bridge_streams_ended_total"), n)
		}
	}
}

// Of known streams, known packets are left out. The headline is what the target got,
// divided by what the clients sent, to the byte.
func TestHeadlineOfKnownLoss(t *testing.T) {
	s, page := withStatus(t, lab.Options{}, nil)
	const streams, lossy, packets, size = 20, 3, 10, 1000
	for n := range uint32(streams) {
		c := s.craft(t, n)
		c.open()
		for p := range packets {
			payload := bytes.Repeat([]byte{byte(p + 1)}, size) // of no protocol: nothing is picked up
			if n < lossy && (p == 4 || p == 7) {
				c.seq += size
				continue
			}
			c.send(payload, rightSum)
		}
		c.close()
	}
	if err := s.awaitForwarded(streams); err != nil {
		t.Fatal(err)
	}
	m := page.awaitEnds(streams)
	const sent = streams * packets * size
	got := lengths(s.forwarded())
	if want := int64(sent - lossy*6*size); got != want {
		t.Fatalf("the target got %d bytes, want %d", got, want)
	}
	for key, want := range map[string]float64{
		"netmirror_sent_bytes_total":                               sent,
		`netmirror_lost_bytes_total{place="before_host"}`:          float64(sent - got),
		`netmirror_lost_bytes_total{place="netmirror"}`:            0,
		`netmirror_lost_bytes_total{place="target"}`:               0,
		`netmirror_delivered_ratio{span="start"}`:                  float64(got) / sent,
		`netmirror_delivered_ratio{span="minute"}`:                 float64(got) / sent,
		`netmirror_whole_streams_ratio{span="start"}`:              float64(streams-lossy) / streams,
		`netmirror_service_missing_bytes_total{service="42:8080"}`: lossy * 2 * size,
	} {
		if math.Abs(m[key]-want) > 1e-9 {
			t.Errorf("%s is %v, want %v", key, m[key], want)
		}
	}
	s.netmirror.stop(t)
	if share, want := s.netmirror.deliveredAtEnd(t), 91.; share != want {
		t.Errorf("at the end, %v %%, want %v %%", share, want)
	}
	if log := s.netmirror.tail(3); !strings.Contains(log, `msg="bytes were lost before this host: nothing was dropped here at the time" bytes=18000 of=200000`) {
		t.Errorf("the end of the log does not say where the bytes were lost:\n%s", log)
	}
}

// With a real mirror that loses packets, the headline is what the target got divided by
// what the clients sent, within a tenth of a percent: what is lost in front of the first
// packet of a connection that came is not known. Without loss it is all.
func TestHeadlineOfAMirror(t *testing.T) {
	t.Parallel()
	small := busy{conns: 8, perSecond: 1000, size: 2 << 10}
	for _, tt := range []struct {
		name  string
		opts  lab.Options
		large bool
	}{
		{"no loss", lab.Options{}, false},
		{"no loss, both directions, late and repeated frames", lab.Options{BothDirections: true, LatePermille: 10, Twice: true}, false},
		{"1 %", lab.Options{LossEvery: 97}, false},
		{"1 % of both directions", lab.Options{LossEvery: 97, BothDirections: true}, false},
		{"1 ‰ and large requests", lab.Options{LossEvery: 997}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := set(t, tt.opts, nil)
			var err error
			if tt.large {
				err = connections(40, 4, 2, 1<<20)(s.ctx, s.client)
			} else {
				_, err = small.forSeconds(s.ctx, s.client, 3)
			}
			if err != nil {
				t.Fatalf("lab: %v", err)
			}
			s.netmirror.stop(t)
			if err := s.shadow.Wait(s.ctx, 0); err != nil {
				t.Errorf("shadow, after netmirror's end: %v", err)
			}
			s.checkBooks(t)
			got, sent := lengths(s.forwarded()), lengths(s.origin.Records())
			share, want := s.netmirror.deliveredAtEnd(t), 100*float64(got)/float64(sent)
			t.Logf("%d of %d bytes: %.3f %%, netmirror says %v %%", got, sent, want, share)
			if lossless := tt.opts.LossEvery == 0; lossless && (share != 100 || got != sent) || !lossless && (got == sent || math.Abs(share-want) > 0.1) {
				t.Errorf("the target got %d of %d bytes, which is %.3f %%; netmirror says %v %%", got, sent, want, share)
			}
			if share < 95 && !tt.large {
				t.Errorf("%v %% is red by default", share)
			}
		})
	}
}

// A target that takes no connection is named as the place, whatever the connections go on
// with.
func TestHeadlineOfADeadTarget(t *testing.T) {
	s, page := withStatus(t, lab.Options{}, nil, pageArgs[2:]...)
	if err := s.Dst.RefuseNew(shadowPort); err != nil {
		t.Fatal(err)
	}
	if err := connections(10, 2, 3, 20<<10)(s.ctx, s.client); err != nil {
		t.Fatalf("lab: %v", err)
	}
	sent := float64(lengths(s.origin.Records()))
	var m map[string]float64
	for m = page.metrics(); m["netmirror_sent_bytes_total"] < sent && s.ctx.Err() == nil; {
		m = page.metrics()
	}
	if got := m[`netmirror_lost_bytes_total{place="target"}`]; got != sent || m["netmirror_sent_bytes_total"] != sent || m[`netmirror_delivered_ratio{span="start"}`] != 0 {
		t.Errorf("%v bytes of %v were lost at the target, of %v that the clients sent", got, m["netmirror_sent_bytes_total"], sent)
	}
	s.netmirror.stop(t)
	if share := s.netmirror.deliveredAtEnd(t); share != 0 {
		t.Errorf("%v %% reached a dead target", share)
	}
	if log := s.netmirror.tail(3); !strings.Contains(log, `msg="bytes were lost at the target, which does not answer" bytes=`) {
		t.Errorf("the end of the log does not name the target:\n%s", log)
	}
}
