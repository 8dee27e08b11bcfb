// Package outcome has one name for everything that can happen to a client's bytes:
// how a stream ended, why a packet was dropped, and which problems an operator gets
// to see. The stages count by these names; the log, the metrics, the status page
// and the documentation take their words from here.
package outcome

// Words are the texts about an end or a reason.
type Words struct {
	Name     string // in the log, and as the value of a metric's label
	Shown    string // on the status page, beside a number; "" if it is not shown there
	Harmless bool   // no loss: it costs no client anything
	Remedy   string // what an operator can do about it; "" for nothing
}

// unknown is for a value out of range.
var unknown = Words{Name: "unknown"}
