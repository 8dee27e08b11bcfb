package main

import "strconv"

// bar is a limit for a row.
type bar struct {
	at   float64
	kind barKind
	of   scale

	floors float64 // with ofPeer: what vxlan-to-http costs, in floors
}

type barKind byte

const (
	most barKind = iota
	least
)

// scale is what is held to a bar.
type scale byte

const (
	ofFigure scale = iota
	ofRatio        // to the row's other benchmark
	ofPeer         // the ratio to vxlan-to-http; where that is not measured, what it was elsewhere
)

type bars []bar

// kind is that of the first bar.
func (b bars) kind() barKind {
	if len(b) == 0 {
		return most
	}
	return b[0].kind
}

func atMost(v float64) bars       { return bars{{at: v, kind: most}} }
func atLeast(v float64) bars      { return bars{{at: v, kind: least}} }
func ratioAtMost(v float64) bars  { return bars{{at: v, kind: most, of: ofRatio}} }
func ratioAtLeast(v float64) bars { return bars{{at: v, kind: least, of: ofRatio}} }

// peer is so much of what vxlan-to-http costs, which was so many times the floor
// where both were measured (docs/performance.md).
func peer(share, floors float64) bars {
	return bars{{at: share, kind: most, of: ofPeer, floors: floors}}
}

// held is what the bar holds of a result, and the limit for it.
func (b bar) held(r result) (v *float64, limit float64) {
	switch {
	case b.of == ofFigure:
		return r.Figure, b.at
	case b.of == ofRatio:
		return r.Ratio, b.at
	case r.NewPeer != nil:
		return r.NewPeer, b.at
	default:
		return r.Ratio, b.at * b.floors
	}
}

func (b bar) met(r result) bool {
	v, limit := b.held(r)
	switch {
	case v == nil:
		return false
	case b.kind == least:
		return *v >= limit
	default:
		return *v <= limit
	}
}

// text is the bar as the table shows it. than is what the result is compared with.
func (b bar) text(r result, than string) string {
	_, limit := b.held(r)
	digits := 3
	if b.of == ofFigure {
		digits = -1 // all
	}
	text := [...]string{most: "<= ", least: ">= "}[b.kind] + strconv.FormatFloat(limit, 'g', digits, 64)
	switch {
	case b.of == ofPeer && r.NewPeer != nil:
		return text + " x peer"
	case b.of == ofPeer:
		return text + " x floor"
	case b.of == ofRatio:
		return text + " x " + than
	default:
		return text
	}
}
