package settings

import (
	"fmt"
	"strconv"
	"strings"
)

// alertBelow is the value of --alert-below: two shares in percent.
type alertBelow string

// UnmarshalFlag implements flags.Unmarshaler.
func (a *alertBelow) UnmarshalFlag(s string) error {
	if _, _, err := parseAlert(s); err != nil {
		return err
	}
	*a = alertBelow(s)
	return nil
}

// Shares are the shares of the last minute's bytes below which the headline is amber and
// red, 0 to 1.
func (a alertBelow) Shares() (amber, red float64) {
	amber, red, _ = parseAlert(string(a)) // which UnmarshalFlag has seen
	return amber / 100, red / 100
}

func parseAlert(s string) (amber, red float64, err error) {
	first, second, ok := strings.Cut(s, ",")
	if ok {
		if amber, err = strconv.ParseFloat(first, 64); err == nil {
			red, err = strconv.ParseFloat(second, 64)
		}
	}
	if !ok || err != nil || !(0 <= red && red <= amber && 0 < amber && amber <= 100) {
		return 0, 0, fmt.Errorf("%q: need two shares in percent, the larger first, like 99,95", s)
	}
	return amber, red, nil
}
