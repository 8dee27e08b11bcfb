package stack

import "testing"

// The client's bytes are counted from 0, the server's from 1000.
func TestAnswers(t *testing.T) {
	const carryOn = "HTTP/1.1 100 Continue\r\n\r\n" // 25 bytes
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	type sent struct {
		seq, ack uint32
		payload  string
	}
	seen := func(sent []sent) (a answers) {
		a.begin(1000)
		for _, m := range sent {
			a.add(&segment{seq: m.seq, ack: m.ack, flags: flagACK, payload: []byte(m.payload)})
		}
		return a
	}
	const n = uint32(len(ok))
	many := make([]sent, 6)
	for i := range many {
		many[i] = sent{1000 + n*uint32(i), 100 * uint32(i+1), ok}
	}
	for _, tc := range []struct {
		name          string
		sent          []sent
		from, to, ack uint32
		yes, known    bool
	}{
		{"nothing was sent", nil, 0, 100, 1000, false, false},
		{"an answer to what lies between", []sent{{1000, 100, ok}}, 0, 100, 1000 + n, true, true},
		{"an answer to a part of it", []sent{{1000, 50, ok}}, 0, 100, 1000 + n, true, true},
		{"the answer to what was before", []sent{{1000, 100, ok}}, 100, 200, 1000 + n, false, true},
		{"an answer to what came behind", []sent{{1000, 300, ok}}, 100, 200, 1000 + n, false, true},
		{"the client has not got it yet", []sent{{1000, 100, ok}, {1000 + n, 200, ok}}, 100, 200, 1000 + n, false, true},
		{"an interim answer is none", []sent{{1000, 100, carryOn}}, 0, 100, 1025, false, false},
		{"an interim answer in two pieces is none", []sent{{1000, 100, carryOn[:20]}, {1020, 100, carryOn[20:]}}, 0, 100, 1025, false, false},
		{"nor is one in three, with another one", []sent{{1000, 100, carryOn + carryOn[:20]}, {1045, 100, carryOn[20:23]}, {1048, 100, carryOn[23:]}}, 0, 100, 1050, false, false},
		{"the answer behind one in two pieces", []sent{{1000, 100, carryOn[:20]}, {1020, 150, carryOn[20:] + ok}}, 0, 200, 1025 + n, true, true},
		{"the answer behind an interim one", []sent{{1000, 100, carryOn}, {1025, 150, ok}}, 0, 200, 1025 + n, true, true},
		{"the same segment again says nothing new", []sent{{1000, 100, ok}, {1000, 300, ok}}, 100, 300, 1000 + n, false, true},
		{"what is missing of the server hides it", []sent{{1100, 100, ok}}, 0, 100, 1100, false, false},
		{"behind what is missing it counts again", []sent{{1100, 100, ok}}, 0, 100, 1100 + n, true, true},
		{"the client acknowledges what the mirror has not shown", []sent{{1000, 100, ok}}, 0, 100, 1001 + n, false, false},
		{"one of the last four of six", many, 400, 500, 1000 + 6*n, true, true},
		{"before the last four of six", many, 0, 100, 1000 + 6*n, false, false},
		{"an acknowledgement without data is no answer", []sent{{1000, 100, ""}}, 0, 100, 1000, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := seen(tc.sent)
			if yes, known := a.between(tc.from, tc.to, tc.ack); yes != tc.yes || known != tc.known {
				t.Errorf("answered %v, known %v; want %v, %v", yes, known, tc.yes, tc.known)
			}
		})
	}
	t.Run("several interim answers count as none", func(t *testing.T) {
		a := seen([]sent{{1000, 100, carryOn}, {1025, 100, carryOn}, {1050, 100, ok}})
		for ack, want := range map[uint32]uint32{999: 999, 1000: 1050, 1025: 1050, 1050: 1050, 1060: 1060} {
			if got := a.beyond(ack); got != want {
				t.Errorf("beyond %d: %d, want %d", ack, got, want)
			}
		}
	})
}
