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
