package settings

import (
	"math"
	"testing"
)

func TestAlertBelow(t *testing.T) {
	for text, want := range map[string][2]float64{"99,95": {0.99, 0.95}, "99.9,99": {0.999, 0.99}, "100,0": {1, 0}, "50,50": {0.5, 0.5}} {
		var a alertBelow
		if err := a.UnmarshalFlag(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if amber, red := a.Shares(); math.Abs(amber-want[0]) > 1e-9 || math.Abs(red-want[1]) > 1e-9 {
			t.Errorf("%s: %v and %v, want %v", text, amber, red, want)
		}
	}
	for _, text := range []string{"", "99", "95,99", "99,95,90", "99;95", "101,95", "99,-1", "NaN,NaN", "x,y", "0,0"} {
		var a alertBelow
		if a.UnmarshalFlag(text) == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
