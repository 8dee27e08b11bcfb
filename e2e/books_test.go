package e2e

import (
	"strconv"
	"strings"
	"testing"
)

// books are the figures of one stats line.
type books map[string]int64

// final returns the figures of the last stats line, which netmirror logs at its
// end.
func (p *process) final(t testing.TB) books {
	t.Helper()
	lines := p.logged()
	for i := len(lines) - 1; i >= 0; i-- {
		if b := readBooks(lines[i]); len(b) > 0 {
			return b
		}
	}
	t.Fatal("netmirror logged no figures")
	return nil
}

func readBooks(line string) books {
	b := make(books)
	if !strings.Contains(line, "msg=stats") {
		return b
	}
	for field := range strings.FieldsSeq(line) {
		key, value, _ := strings.Cut(field, "=")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			b[key] = n
		}
	}
	return b
}

// sum adds up the figures whose keys begin with prefix, and with none of except.
func (b books) sum(prefix string, except ...string) (sum int64) {
next:
	for key, n := range b {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		for _, e := range except {
			if strings.HasPrefix(key, e) {
				continue next
			}
		}
		sum += n
	}
	return sum
}

// check checks that what came is what went out, what is held, and what was
// dropped by reason: nothing is lost without a count, nothing is counted twice.
func (b books) check(t testing.TB) {
	t.Helper()
	for _, id := range []struct {
		name      string
		came, sum int64
	}{
		{"packets", b["packets_received"] + b["packets_copied"], b["packets_forwarded"] + b["packets_held"] + b["fragments_held"] + b["fragments_merged"] + b.sum("drop_", "drop_fragment_")},
		{"bytes", b["bytes_received"] + b["bytes_added"], b["bytes_forwarded"] + b["bytes_left_out"] + b["bytes_held"] + b.sum("bytes_dropped_")},
		{"flows", b["flows_opened"], b["target_conns"] + b["streams_waiting"] + b.sum("end_")},
	} {
		if id.came != id.sum {
			t.Errorf("the books: %d %s came, but %d are accounted for, in %v", id.came, id.name, id.sum, b)
		}
	}
}

// checkBooks checks the final figures of a netmirror that has ended, and that
// it saw all that the lab's mirror sent.
func (s *scene) checkBooks(t testing.TB) {
	t.Helper()
	b := s.netmirror.final(t)
	b.check(t)
	if n := b["kernel_drops"]; n != 0 {
		t.Errorf("the kernel dropped %d packets: this run proves nothing", n)
	}
}
