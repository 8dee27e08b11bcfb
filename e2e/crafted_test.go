package e2e

import (
	"strings"
	"testing"

	"netmirror/e2e/lab"
)

// body returns n bytes that no other id has.
func body(id uint64, n int) []byte {
	b := make([]byte, n)
	lab.Body(id).Read(b)
	return b
}

func TestChecksums(t *testing.T) {
	const size = 1000 // bytes of a segment
	first, second, third := body(1, size), body(2, size), body(3, size)
	damaged := append([]byte("damaged"), second[7:]...)
	for _, tt := range []struct {
		name   string
		args   []string
		send   func(c *crafted)
		second []byte // what arrives between the first and the third
		bad    int64
	}{
		{"a damaged packet is left to its retransmission", nil, func(c *crafted) {
			c.send(damaged, wrongSum)
			c.resend(second)
		}, second, 1},
		{"an unfinished sum where the connection's others are full is a wrong one", nil, func(c *crafted) {
			c.send(damaged, pseudoSum)
			c.resend(second)
		}, second, 1},
		{"always: an unfinished sum is a wrong one", []string{"--verify-checksums", "always"}, func(c *crafted) {
			c.send(second, pseudoSum)
			c.resend(second)
		}, second, 1},
		{"never: every packet is taken", []string{"--verify-checksums", "never"}, func(c *crafted) {
			c.send(damaged, wrongSum)
			c.resend(second)
		}, damaged, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := set(t, lab.Options{}, lab.Swallow, tt.args...)
			c := s.craft(t, 1)
			c.open()
			c.send(first, rightSum)
			tt.send(c)
			c.send(third, rightSum)
			c.close()
			stream := append(append(append([]byte(nil), first...), tt.second...), third...)
			s.compareWith(t, []lab.Record{lab.RecordOf(c.src, stream, lab.EOF)})
			if n := s.netmirror.final(t)["drop_bad_checksum"]; n != tt.bad {
				t.Errorf("%d packets were dropped for their checksum, want %d", n, tt.bad)
			}
		})
	}
}

// A packet that the mirror has cut is not forwarded, nor is what is behind it
// taken for its continuation, and the log says once what helps.
func TestTruncatedPackets(t *testing.T) {
	const flows, size, cut = 50, 1000, 54
	s := set(t, lab.Options{}, lab.Swallow, "--stats-interval", "100ms", "--max-conns", "1000")
	var want []lab.Record
	for n := range uint32(flows) {
		c := s.craft(t, n)
		c.open()
		whole := body(uint64(n), size)
		c.send(whole, rightSum)
		c.sendCut(body(uint64(n), size), cut)
		c.send([]byte("behind it"), rightSum)
		c.close()
		want = append(want, lab.RecordOf(c.src, whole, lab.Reset))
	}
	// One that nothing was cut of.
	c := s.craft(t, flows)
	c.open()
	c.send(body(flows, size), rightSum)
	c.close()
	want = append(want, lab.RecordOf(c.src, body(flows, size), lab.EOF))
	if _, _, err := s.netmirror.await(s.ctx, 0, "8947"); err != nil {
		t.Error(err)
	}
	s.compareWith(t, want)
	b := s.netmirror.final(t)
	if n := b["drop_truncated"]; n != flows {
		t.Errorf("%d packets were dropped as truncated, want %d", n, flows)
	}
	if n := b["end_gap"]; n != flows {
		t.Errorf("%d streams were reset for what was cut, want %d", n, flows)
	}
	warnings := 0
	for _, line := range s.netmirror.logged() {
		if strings.Contains(line, "level=WARN") {
			warnings++
		}
	}
	if warnings != 1 {
		t.Errorf("%d warnings, want one", warnings)
	}
}
