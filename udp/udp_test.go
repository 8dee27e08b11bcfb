package udp

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"netmirror/wire"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Addresses that the mirror's packets are sent to.
var (
	to4 = net.IPv4(127, 0, 0, 1)
	to6 = net.IPv6loopback
)

// freePort is one that nobody has.
func freePort(t testing.TB) uint16 {
	t.Helper()
	c, err := net.ListenUDP("udp", nil)
	must(t, err)
	defer c.Close()
	return uint16(c.LocalAddr().(*net.UDPAddr).Port)
}

// open opens n receivers on a port of their own.
func open(t testing.TB, cfg Config, n int) []*Receiver {
	t.Helper()
	if len(cfg.Mirror.Ports) == 0 {
		cfg.Mirror.Ports = []uint16{freePort(t)}
	}
	all, err := OpenGroup(cfg, n)
	must(t, err)
	t.Cleanup(func() {
		for _, r := range all {
			must(t, r.Close())
		}
	})
	return all
}

// sender sends to the first port of a receiver.
func sender(t testing.TB, r *Receiver, to net.IP) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: to, Port: int(r.cfg.Mirror.Ports[0])})
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// set sets an option of a sender's socket.
func set(t testing.TB, c *net.UDPConn, level, option, value int) {
	t.Helper()
	raw, err := c.SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		must(t, unix.SetsockoptInt(int(fd), level, option, value))
	}))
}

func send(t testing.TB, c *net.UDPConn, datagrams ...[]byte) {
	t.Helper()
	for _, d := range datagrams {
		_, err := c.Write(d)
		must(t, err)
	}
}

// rest stops a receiver and gives copies of all that it has received.
func rest(t testing.TB, r *Receiver) (all [][]byte) {
	t.Helper()
	r.Stop()
	for {
		frames, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		must(t, err)
		for _, f := range frames {
			all = append(all, bytes.Clone(f))
		}
	}
}

// equal compares what was received, in order, with what was sent.
func equal(t testing.TB, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("received %d datagrams, want %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("datagram %d is %.60x, want %.60x", i, got[i], want[i])
		}
	}
}

// payload is n bytes that differ from those of other seeds.
func payload(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = seed + byte(i*7)
	}
	return b
}

func TestDatagrams(t *testing.T) {
	for _, to := range []net.IP{to4, to6} {
		t.Run(to.String(), func(t *testing.T) {
			r := open(t, Config{}, 1)[0]
			c := sender(t, r, to)
			var want [][]byte
			for i, n := range []int{1, 8, 0, 1500, 9000, 65507, 64, 1472} {
				want = append(want, payload(n, byte(i)))
			}
			before := time.Now()
			send(t, c, want...)
			first, err := r.Next()
			must(t, err)
			if age := r.BatchTime().Sub(before); age < -time.Millisecond || age > time.Since(before) {
				t.Errorf("the first was stamped %v after it was sent", age)
			}
			var got [][]byte
			for _, f := range first {
				got = append(got, bytes.Clone(f))
			}
			equal(t, append(got, rest(t, r)...), want)
			if s := r.Stats(); s.Packets != 8 || s.Frames != 8 || s.Bytes != 77552 || s.Drops != 0 || s.Cut != 0 || s.Waiting != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// More than one batch, of two ports.
func TestPorts(t *testing.T) {
	r := open(t, Config{Mirror: wire.Mirror{Ports: []uint16{freePort(t), freePort(t)}}, Interfaces: []string{"lo"}}, 1)[0]
	var want [2][][]byte
	for i, port := range r.cfg.Mirror.Ports {
		c, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: to4, Port: int(port)})
		must(t, err)
		defer c.Close()
		for n := range 100 {
			want[i] = append(want[i], payload(100+n, byte(i)))
		}
		send(t, c, want[i]...)
	}
	var got [2][][]byte
	for _, d := range rest(t, r) {
		got[d[0]] = append(got[d[0]], d)
	}
	equal(t, got[0], want[0])
	equal(t, got[1], want[1])
}

func TestAggregates(t *testing.T) {
	for _, to := range []net.IP{to4, to6} {
		for _, row := range []struct {
			name        string
			length, all int
			datagrams   uint64
		}{
			{"two", 1000, 2000, 2},
			{"a short rest", 1400, 1400*4 + 1, 5},
			{"fewer bytes than one has", 1400, 900, 0},
			{"as many as there may be", 100, 100 * 64, 64},
		} {
			t.Run(to.String()+" "+row.name, func(t *testing.T) {
				r := open(t, Config{}, 1)[0]
				c := sender(t, r, to)
				set(t, c, unix.SOL_UDP, unix.UDP_SEGMENT, row.length)
				data := payload(row.all, 3)
				send(t, c, data)
				equal(t, rest(t, r), slices.Collect(slices.Chunk(data, row.length)))
				if s := r.Stats(); s.Datagrams != row.datagrams || s.Unsplit != 0 || s.Packets != 1 {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

// What finds no room is counted, and nothing else is.
func TestDrops(t *testing.T) {
	const sent = 200
	r := open(t, Config{Bytes: 1}, 1)[0]
	if granted, _ := r.Buffer(); granted < 2048 {
		t.Errorf("a buffer of %d bytes", granted)
	}
	c := sender(t, r, to4)
	for i := range sent {
		send(t, c, payload(500, byte(i)))
	}
	if s := r.Stats(); s.Waiting == 0 || s.Waiting > s.Room+4096 || s.Drops == 0 {
		t.Errorf("with the buffer full: %+v", s)
	}
	got := uint64(len(rest(t, r)))
	if s := r.Stats(); got == 0 || s.Drops != sent-got || s.Packets != sent {
		t.Errorf("%d of %d received, %+v", got, sent, s)
	}
}

// A mirror over IPv6 without UDP checksums (RFC 6935).
func TestZeroChecksum(t *testing.T) {
	r := open(t, Config{}, 1)[0]
	c := sender(t, r, to6)
	set(t, c, unix.SOL_UDP, unix.UDP_NO_CHECK6_TX, 1)
	want := [][]byte{payload(700, 1), payload(70, 2)}
	send(t, c, want...)
	equal(t, rest(t, r), want)
}

func TestStop(t *testing.T) {
	t.Run("a reader that waits", func(t *testing.T) {
		r := open(t, Config{}, 1)[0]
		got := make(chan error)
		go func() {
			_, err := r.Next()
			got <- err
		}()
		for !r.waits.Load() {
			time.Sleep(time.Millisecond)
		}
		r.Stop()
		if err := <-got; !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	})
	t.Run("all of a group", func(t *testing.T) {
		all := open(t, Config{}, 3)
		c := sender(t, all[0], to4)
		before, after := payload(10, 1), payload(10, 2)
		send(t, c, before)
		all[2].Stop()
		send(t, c, after)
		equal(t, slices.Concat(rest(t, all[0]), rest(t, all[1]), rest(t, all[2])), [][]byte{before})
		if s := all[0].Stats(); s.Drops != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestCaughtUp(t *testing.T) {
	r := open(t, Config{}, 1)[0]
	c := sender(t, r, to4)
	received := make(chan time.Time) // when each batch was
	go func() {
		defer close(received)
		for {
			if _, err := r.Next(); err != nil {
				return
			}
			at := time.Now()
			received <- at // which holds the reader
		}
	}()
	send(t, c, payload(10, 1))
	at := <-received
	for !r.waits.Load() {
		time.Sleep(time.Millisecond)
	}
	if up := r.CaughtUp(time.Now()); up.Before(at.Add(-handover)) {
		t.Errorf("with nothing to receive it has only caught up to %v before what came last", at.Sub(up))
	}
	sent := time.Now()
	send(t, c, payload(10, 2))
	for time.Since(sent) < 50*time.Millisecond { // it is not done with while the reader is held
		if up := r.CaughtUp(time.Now()); up.After(sent) {
			t.Fatalf("it claims to be done with what was sent %v before", up.Sub(sent))
		}
	}
	<-received
	r.Stop()
	for range received {
	}
}

func TestInUse(t *testing.T) {
	for name, network := range map[string]string{"IPv4": "udp4", "IPv6": "udp6"} {
		t.Run(name, func(t *testing.T) {
			c, err := net.ListenUDP(network, nil)
			must(t, err)
			defer c.Close()
			if _, err := Open(Config{Mirror: wire.Mirror{Ports: []uint16{uint16(c.LocalAddr().(*net.UDPAddr).Port)}}}); !errors.Is(err, ErrInUse) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("by another capture", func(t *testing.T) {
		r := open(t, Config{}, 2)[0]
		if _, err := OpenGroup(Config{Mirror: r.cfg.Mirror}, 2); !errors.Is(err, ErrInUse) {
			t.Errorf("got %v", err)
		}
		c := sender(t, r, to4)
		send(t, c, []byte("x"))
		equal(t, rest(t, r), [][]byte{[]byte("x")})
	})
}

func TestAfterClose(t *testing.T) {
	r := open(t, Config{}, 1)[0]
	send(t, sender(t, r, to4), payload(10, 1))
	_, err := r.Next()
	must(t, err)
	must(t, r.Close())
	if _, err := r.Next(); err == nil {
		t.Error("no error")
	}
	if s := r.Stats(); s.Frames != 1 || s.Room != 0 {
		t.Errorf("%+v", s)
	}
	open(t, Config{Mirror: r.cfg.Mirror}, 1) // the port is free
}
