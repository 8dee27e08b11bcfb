package replay

import (
	"fmt"
	"strings"
	"time"
)

// Progress estimates how long a replay still takes.
type Progress struct {
	Read, Total int64         // bytes of the files; a total of 0 is not known
	Took        time.Duration // so far
}

// Part is how much of the files was read, from 0 to 1. It is false if that is unknown.
func (p Progress) Part() (float64, bool) {
	if p.Total <= 0 {
		return 0, false
	}
	return min(float64(p.Read)/float64(p.Total), 1), true
}

// Left is how long the rest will take at the pace so far. It is false if that is unknown.
func (p Progress) Left() (time.Duration, bool) {
	part, ok := p.Part()
	if !ok || part < 0.001 {
		return 0, false
	}
	return time.Duration(float64(p.Took) * (1 - part) / part), true
}

// String is a line with a bar.
func (p Progress) String() string {
	const width = 20
	part, ok := p.Part()
	if !ok {
		return fmt.Sprintf("%d MB read", p.Read/1e6)
	}
	full := int(part * width)
	bar := "[" + strings.Repeat("=", full) + strings.Repeat(" ", width-full) + "]"
	line := fmt.Sprintf("%s %3.0f%% of %d MB", bar, 100*part, (p.Total+999_999)/1_000_000)
	if left, ok := p.Left(); ok {
		line += fmt.Sprintf(", %v left", left.Round(time.Second))
	}
	return line
}
