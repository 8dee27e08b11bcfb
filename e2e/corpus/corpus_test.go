package corpus

import (
	"reflect"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

func TestCorpusIsTheSameAtEveryCall(t *testing.T) {
	if !reflect.DeepEqual(All(), All()) {
		t.Error("two calls of All differ")
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range All() {
		if seen[c.Name] {
			t.Errorf("two captures are named %q", c.Name)
		}
		seen[c.Name] = true
	}
}

// Every frame is a whole IP packet or a fragment of one, in the order of time.
func TestFramesAreReadable(t *testing.T) {
	for _, c := range All() {
		last := c.Frames[0].At
		for i, f := range c.Frames {
			if f.At < last {
				t.Errorf("%s: frame %d is before the one in front of it", c.Name, i)
			}
			last = f.At
			first := layers.LayerTypeEthernet
			if c.Mirror.IP {
				first = layers.LayerTypeIPv4
			}
			p := gopacket.NewPacket(f.Bytes, first, gopacket.Default)
			if p.NetworkLayer() == nil {
				t.Errorf("%s: frame %d has no IP: %v", c.Name, i, p)
			}
		}
	}
}
