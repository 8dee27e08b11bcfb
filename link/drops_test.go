package link

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The kernel tells the same numbers in /sys/class/net (sysfs-class-net-statistics).
func TestDrops(t *testing.T) {
	read := func(name, counter string) uint64 {
		text, err := os.ReadFile(filepath.Join("/sys/class/net", name, "statistics", counter))
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	var sum uint64
	for _, i := range all {
		before := read(i.Name, "rx_dropped") + read(i.Name, "rx_missed_errors")
		got, err := Drops(i.Name)
		after := read(i.Name, "rx_dropped") + read(i.Name, "rx_missed_errors")
		if err != nil || got < before || got > after {
			t.Errorf("%s: %d dropped, %v; want %d to %d", i.Name, got, err, before, after)
		}
		sum += before
	}
	if got, err := Drops(); err != nil || got < sum {
		t.Errorf("all together: %d dropped, %v; want %d or more", got, err, sum)
	}
}
