package link

import (
	"errors"
	"strings"
	"testing"
)

// An interface that there is not is told with those that there are, and several in one name with
// how to give them.
func TestNoSuchInterface(t *testing.T) {
	for name, want := range map[string]string{
		"nope":       "",
		"nope,eth7":  "give each by itself: --iface nope --iface eth7, or each on a line of its own in the file",
		"nope, eth7": "give each by itself: --iface nope --iface eth7, or each on a line of its own in the file",
		"nope,":      "leave the comma out",
		",":          "",
		"nope,any":   "give any alone, which is all of them, or each of the others by itself",
	} {
		_, err := Find(name)
		if !errors.Is(err, ErrNone) {
			t.Errorf("%s: %v, want ErrNone", name, err)
			continue
		}
		_, names, _ := strings.Cut(err.Error(), "; there are: ")
		if _, do, _ := strings.Cut(names, "; "); do != want {
			t.Errorf("%s: %v, want %q at its end", name, err, want)
		}
	}
}
