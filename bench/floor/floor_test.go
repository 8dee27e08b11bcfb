package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// frameOf is a mirrored segment from 10.0.0.1:40000 to 10.0.0.2:8080 under VNI 42.
func frameOf(t *testing.T, seq uint32, flags byte, payload string) []byte {
	t.Helper()
	const ethernet = "020000000002 020000000001 0800"
	inner := ethernet + "45000000 00000000 40060000 0a000001 0a000002" + // IPv4
		"9c401f90 00000000 00000000 50000000 00000000" // TCP
	outer := ethernet + "45000000 00000000 40110000 0a010001 0a010002" + // IPv4
		"123412b5 00000000" + // UDP to 4789
		"08000000 00002a00" // VXLAN
	b, err := hex.DecodeString(strings.ReplaceAll(outer+inner, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	const innerIP = 14 + 20 + 8 + 8 + 14
	b[innerIP+20+13] = flags
	binary.BigEndian.PutUint32(b[innerIP+20+4:], seq)
	b = append(b, payload...)
	b[16], b[17] = byte((len(b)-14)>>8), byte(len(b)-14)
	b[innerIP+2], b[innerIP+3] = byte((len(b)-innerIP)>>8), byte(len(b)-innerIP)
	return append(b, "padding"...)
}

var service = mirror{vni: 42, port: 8080}

func TestParse(t *testing.T) {
	s, ok := service.parse(frameOf(t, 7, flagFIN, "hello"))
	want := key{src: [4]byte{10, 0, 0, 1}, dst: [4]byte{10, 0, 0, 2}, srcPort: 40000, dstPort: 8080}
	if !ok || s.key != want || s.seq != 7 || s.flags != flagFIN || string(s.payload) != "hello" {
		t.Errorf("%+v, %v", s, ok)
	}
	for _, other := range []mirror{{vni: 43, port: 8080}, {vni: 42, port: 80}} {
		if _, ok := other.parse(frameOf(t, 7, 0, "")); ok {
			t.Errorf("%+v took another's packet", other)
		}
	}
	whole := bytes.TrimSuffix(frameOf(t, 7, 0, ""), []byte("padding"))
	for n := range whole {
		if _, ok := service.parse(whole[:n]); ok {
			t.Errorf("a frame of %d bytes was taken", n)
		}
	}
}

// The target gets what the client sent, once, and its end, also where it does not read
// for a while.
func TestForward(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f := newForwarder(service, netip.MustParseAddrPort(ln.Addr().String()))
	const isn = 1<<32 - 1000
	f.take(frameOf(t, isn, flagSYN, ""))
	f.take(frameOf(t, isn, flagSYN, ""))
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var sent []byte
	for n := range 10_000 { // more than the sockets take
		payload := strings.Repeat(string(rune('a'+n%26)), 1400)
		seq := uint32(isn + 1 + len(sent))
		f.take(frameOf(t, seq, 0, payload))
		if n%10 == 9 {
			f.take(frameOf(t, seq-700, 0, strings.Repeat("?", 1400))) // seen before
		}
		sent = append(sent, payload...)
		if n%3000 == 0 {
			f.deliver()
		}
	}
	f.take(frameOf(t, isn+1+uint32(len(sent)), flagFIN, ""))
	got := make(chan []byte)
	go func() {
		var all bytes.Buffer
		_, _ = all.ReadFrom(c)
		c.Close()
		got <- all.Bytes()
	}()
	for len(f.queue) > 0 || len(f.ending) > 0 {
		f.deliver()
		unix.Poll(nil, max(0, f.patience()))
	}
	select {
	case all := <-got:
		if !bytes.Equal(all, sent) {
			t.Errorf("%d bytes came, not the %d that were sent", len(all), len(sent))
		}
	case <-time.After(10 * time.Second):
		t.Error("the connection did not end")
	}
}
