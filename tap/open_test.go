package tap

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"netmirror/link"
)

// dropCapability takes a capability from the thread, which must end with the
// goroutine.
func dropCapability(t *testing.T, bit int) {
	t.Helper()
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	must(t, unix.Capget(&hdr, &data[0]))
	data[bit/32].Effective &^= 1 << (bit % 32)
	must(t, unix.Capset(&hdr, &data[0]))
}

func TestOpenErrors(t *testing.T) {
	for _, tc := range []struct {
		name    string
		cfg     Config
		prepare func(t *testing.T)
		want    error
		says    []string
	}{
		{"no such interface", Config{Interface: "eth7"}, nil,
			link.ErrNone, []string{`"eth7"`, "lo", monIface}},
		{"no name", Config{}, nil,
			link.ErrNone, []string{"lo", monIface}},
		{"down", Config{Interface: monIface}, func(t *testing.T) {
			link, err := netlink.LinkByName(monIface)
			must(t, err)
			must(t, netlink.LinkSetDown(link))
		}, link.ErrDown, []string{"ip link set dev " + monIface + " up"}},
		{"no Ethernet", Config{Interface: "tun9"}, func(t *testing.T) {
			tun := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tun9"}, Mode: netlink.TUNTAP_MODE_TUN}
			if err := netlink.LinkAdd(tun); err != nil {
				t.Skipf("no tun device: %v", err)
			}
			must(t, netlink.LinkSetUp(tun))
		}, ErrLinkType, []string{"tun9", "65534"}},
		{"no CAP_NET_RAW", Config{Interface: monIface}, func(t *testing.T) {
			dropCapability(t, unix.CAP_NET_RAW)
		}, ErrPermission, []string{"CAP_NET_RAW: root lacks it here", "container", "docker run --cap-add NET_RAW; AmbientCapabilities=CAP_NET_RAW;"}},
		{"no CAP_NET_BIND_SERVICE for a low port", Config{Interface: monIface, Mirror: vxlanAt(53)}, func(t *testing.T) {
			dropCapability(t, unix.CAP_NET_BIND_SERVICE)
		}, ErrPermission, []string{"53", "docker run --cap-add NET_RAW --cap-add NET_BIND_SERVICE; AmbientCapabilities=CAP_NET_RAW CAP_NET_BIND_SERVICE;"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t, 1500)
			in(t, l.mon, func() {
				if tc.prepare != nil {
					tc.prepare(t)
				}
				r, err := Open(tc.cfg)
				if err == nil {
					r.Close()
				}
				if !errors.Is(err, tc.want) {
					t.Fatalf("Open: %v, want %v", err, tc.want)
				}
				t.Log(err)
				if strings.HasPrefix(err.Error(), "tap:") {
					t.Errorf("%q begins with a package's name, which a user does not know", err)
				}
				for _, s := range tc.says {
					if !strings.Contains(err.Error(), s) {
						t.Errorf("%q does not say %q", err, s)
					}
				}
				if strings.Contains(err.Error(), "\n") {
					t.Errorf("%q is more than a line", err)
				}
			})
		})
	}
}

func TestConfig(t *testing.T) {
	const mib = 1 << 20
	for _, tc := range []struct {
		name     string
		in, want Config
	}{
		{"zero", Config{}, Config{
			RingBytes: 64 * mib, BlockBytes: mib, BlockTimeout: time.Millisecond,
			FragmentBytes: 4 * mib, FragmentTimeout: 2 * time.Second,
		}},
		{"sizes and times are rounded up", Config{
			Mirror: vxlanAt(1), RingBytes: 5*mib - 1, BlockBytes: 2 * mib, BlockTimeout: 1500 * time.Microsecond,
			FragmentBytes: 2049, FragmentTimeout: 1,
		}, Config{
			Mirror: vxlanAt(1), RingBytes: 6 * mib, BlockBytes: 2 * mib, BlockTimeout: 2 * time.Millisecond,
			FragmentBytes: 4096, FragmentTimeout: 1,
		}},
		{"a ring has two blocks", Config{RingBytes: 1}, Config{
			RingBytes: 2 * mib, BlockBytes: mib, BlockTimeout: time.Millisecond,
			FragmentBytes: 4 * mib, FragmentTimeout: 2 * time.Second,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := tc.in.resolve(); err != nil || !cmp.Equal(got, tc.want) {
				t.Errorf("%v\n%s", err, cmp.Diff(tc.want, got))
			}
		})
	}
	for name, bad := range map[string]Config{
		"block of half a page":       {BlockBytes: mib + 2048},
		"block too small for 64 KiB": {BlockBytes: 64 << 10},
		"VNI of 25 bits":             {VNIs: []uint32{1, 1 << 24}},
		"negative ring":              {RingBytes: -1},
		"negative block":             {BlockBytes: -4096},
		"negative block timeout":     {BlockTimeout: -1},
		"negative fragments":         {FragmentBytes: -1},
		"negative fragment timeout":  {FragmentTimeout: -1},
	} {
		if _, err := Open(bad); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
