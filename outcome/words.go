// Package outcome has one name for everything that can become of a client's bytes:
// how a stream ended, why a packet was dropped, and which problems an operator is
// told of. The stages count by these names; the log, the metrics, the status page
// and the documentation take their words from here.
package outcome

// Words is what is told of an end or of a reason.
type Words struct {
	Name     string // in the log, and as the value of a metric's label
	Shown    string // on the status page, beside a number; "" where that has no place for it
	Harmless bool   // it costs no client anything, and is no loss
	Remedy   string // what an operator can do about it; "" where there is nothing to mend
}

// unknown is for a value that is none.
var unknown = Words{Name: "unknown"}
