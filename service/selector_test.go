package service

import (
	"errors"
	"testing"
)

func TestNewSelectorErrors(t *testing.T) {
	for _, row := range []struct {
		name string
		of   Selection
		want error
	}{
		{"smallest", Selection{VNIsOf(0), PortsOf(1)}, nil},
		{"largest", Selection{VNIsOf(1<<24 - 1), PortsOf(65535)}, nil},
		{"VNI of 25 bits", Selection{VNIsOf(1, 1<<24), PortsOf(80)}, ErrVNI},
		{"port 0", Selection{VNIsOf(1), PortsOf(0)}, ErrPort},
	} {
		if _, err := NewSelector([]Selection{row.of}); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
}

// The kernel has one selection for all services.
func TestUnion(t *testing.T) {
	for _, row := range []struct {
		of   []string
		want string
	}{
		{[]string{"42:8080"}, "42:8080"},
		{[]string{"43:8080,9000-9010", "42:8081,9005-9020"}, "42,43:8080-8081,9000-9020"},
		{[]string{"42:80", "any:443"}, "any:80,443"},
		{[]string{"42:80", "42:80"}, "42:80"},
	} {
		var all []Selection
		for _, text := range row.of {
			f, err := ParseForward(text + "=x:1")
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, f.Selection)
		}
		for range 2 { // it leaves the selections as they are
			if got := Union(all...).String(); got != row.want {
				t.Errorf("%v: %s, want %s", row.of, got, row.want)
			}
		}
	}
}
