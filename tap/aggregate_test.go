package tap

import (
	"bytes"
	"io"
	"net"
	"slices"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"netmirror/service"
	"netmirror/wire"
)

// sendSegmented has the kernel send the datagrams, of one size but for the last, as
// one packet (UDP_SEGMENT, udp(7)).
func sendSegmented(t testing.TB, c *net.UDPConn, size int, datagrams [][]byte) {
	t.Helper()
	oob := make([]byte, unix.CmsgSpace(2))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	put16(oob[unix.CmsgLen(0):], uint16(size))
	if _, _, err := c.WriteMsgUDP(bytes.Join(datagrams, nil), oob, nil); err != nil {
		t.Fatal(err)
	}
}

// payloads are the UDP payloads of frames, which have to be whole by their lengths
// and to have right header checksums.
func payloads(t testing.TB, frames [][]byte) (all [][]byte) {
	t.Helper()
	for _, f := range frames {
		ip, udp, ok := udpOf(f)
		if !ok || endOf(f, ip, ip) != len(f) {
			t.Fatalf("not a whole UDP packet: % x", f[:min(len(f), 60)])
		}
		if f[ip]>>4 == 4 && wire.Checksum(f[ip:udp]) != 0 {
			t.Errorf("the checksum of the IPv4 header is wrong: % x", f[ip:udp])
		}
		all = append(all, payloadOf(t, f))
	}
	return all
}

// receive reads copies of n frames, and what else was captured then.
func receive(t testing.TB, r *Ring, n int) (all [][]byte) {
	t.Helper()
	late := time.AfterFunc(10*time.Second, r.Stop)
	defer late.Stop()
	for len(all) < n {
		frames, err := r.Next()
		if err == io.EOF {
			return all
		}
		must(t, err)
		for _, f := range frames {
			all = append(all, bytes.Clone(f))
		}
	}
	r.Stop()
	return append(all, drainAll(t, r)...)
}

// A sender that leaves the cutting to the kernel (UDP_SEGMENT), over a link that
// carries its packets uncut.
func TestSegmentedByTheSender(t *testing.T) {
	for name, to := range map[string]net.IP{"IPv4": mon4, "IPv6": mon6} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, 1500)
			r, c := l.open(t, Config{}), l.udp(t, to, 4789)
			var sent [][]byte
			packets, aggregates := 0, 0
			for _, n := range []int{1, 2, 7, 40} {
				for _, size := range []int{100, 1000, 1452} {
					for _, last := range []int{1, size / 2, size} {
						datagrams := numbered(n, size)
						datagrams[n-1] = datagrams[n-1][:last]
						if len(bytes.Join(datagrams, nil)) > 65000 {
							continue
						}
						sendSegmented(t, c, size, datagrams)
						sent = append(sent, datagrams...)
						packets++
						if n > 1 {
							aggregates++
						}
					}
				}
			}
			captured(t, r, uint64(packets))
			r.Stop()
			equalFrames(t, payloads(t, drainAll(t, r)), sent)
			s := settled(t, r)
			if s.Aggregates != uint64(aggregates) || s.Unsplit != 0 || s.Cut != 0 {
				t.Errorf("%+v, want %d aggregates", s, aggregates)
			}
		})
	}
}

// The interface's GRO makes one packet of datagrams that come closely.
func TestAggregatedByTheInterface(t *testing.T) {
	for _, tc := range []struct {
		name   string
		with   []string
		always bool // else it depends on who has tunnels, on the whole machine
	}{
		{"rx-gro", nil, false},
		{"rx-gro-list", []string{"rx-gro-list"}, true},
		{"rx-udp-gro-forwarding", []string{"rx-udp-gro-forwarding"}, false},
	} {
		for _, to := range []net.IP{mon4, mon6} {
			t.Run(tc.name+" "+to.String(), func(t *testing.T) {
				l := newLab(t, 1500)
				in(t, l.mon, func() {
					feature(t, monIface, "rx-gro", true)
					for _, name := range tc.with {
						feature(t, monIface, name, true)
					}
				})
				r, c := l.open(t, Config{BlockTimeout: 100 * time.Millisecond}), l.udp(t, to, 4789)
				in(t, l.peer, func() { // so that the packets leave cut, as one burst
					feature(t, peerIface, "tx-udp-segmentation", false)
				})
				var sent [][]byte
				for n := range 200 {
					datagrams := numbered(2+n%40, 900+n)
					datagrams[len(datagrams)-1] = datagrams[len(datagrams)-1][:1+n]
					sendSegmented(t, c, 900+n, datagrams)
					sent = append(sent, datagrams...)
				}
				equalFrames(t, payloads(t, receive(t, r, len(sent))), sent)
				s := settled(t, r)
				if s.Unsplit != 0 || tc.always && s.Aggregates == 0 {
					t.Errorf("%+v", s)
				}
				t.Logf("%d datagrams in %d packets, %d of several", len(sent), s.Packets, s.Aggregates)
			})
		}
	}
}

// The filter and the program that shares packets see the first of several only.
func TestSegmentedAmongRings(t *testing.T) {
	l := newLab(t, 1500)
	rings := l.openGroup(t, Config{VNIs: []uint32{ourVNI}, InnerPorts: service.PortsOf(ourPort)}, 2)
	c := l.udp(t, mon4, 4789)
	var want [2][][]byte
	total := 0
	for port := range 40 {
		first, second := flow{peer4, mon4, 50000 + port}, flow{mon4, peer4, 40000 - port}
		vni := ourVNI + port%2 // half of those that begin the packets are not ours
		a := slices.Concat(vxlan(vni), packet(t, first.inner(false)...))
		b := slices.Concat(vxlan(ourVNI), packet(t, second.inner(true)...))
		sendSegmented(t, c, len(a), [][]byte{a, b, a})
		ring := first.hash(false) % 2
		want[ring] = append(want[ring], a, b, a)
		total++
	}
	capturedByAll(t, rings, uint64(total))
	rings[0].Stop()
	for i, frames := range drainGroup(t, rings) {
		equalFrames(t, payloads(t, frames), want[i])
		settled(t, rings[i])
	}
}
