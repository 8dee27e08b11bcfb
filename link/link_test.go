package link

import (
	"errors"
	"strings"
	"testing"
)

// An interface that there is not is told with those that there are, and several in one name with
// how to give them.
func TestNoSuchInterface(t *testing.T) {
	for name, want := range map[string]string{"nope": "there are: ", "nope,eth7": "; give each by itself: --iface nope --iface eth7"} {
		_, err := Find(name)
		if !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "itself") != strings.Contains(name, ",") {
			t.Errorf("%s: %v, want ErrNone with %q", name, err, want)
		}
	}
}
