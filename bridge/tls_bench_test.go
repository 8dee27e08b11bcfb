package bridge

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"netmirror/outcome"
	"netmirror/target"
	"netmirror/target/targettest"
)

// BenchmarkTLSStream plays a long stream to a target of TLS, and has crypto/tls alone
// write as much.
func BenchmarkTLSStream(b *testing.B) {
	ca := targettest.NewAuthority(b)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{ca.Issue(b, "127.0.0.1")}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				io.CopyBuffer(struct{ io.Writer }{io.Discard}, c, make([]byte, bufferSize))
				c.Close()
			}()
		}
	}()
	b.Run("bridge", func(b *testing.B) {
		br, err := New(Config{Target: "tls://" + ln.Addr().String(), Options: target.Options{TLS: target.TLSOptions{CA: ca.File(b)}}})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		streams, done := newQueue(), make(chan error, 1)
		go func() { done <- br.Serve(ctx, streams) }()
		b.Cleanup(func() { cancel(); <-done })
		b.SetBytes(benchBytes)
		for b.Loop() {
			z := &zeros{left: benchBytes, done: make(chan outcome.End, 1)}
			streams.conns <- z
			if o := <-z.done; o != outcome.EndComplete {
				b.Fatal(o)
			}
		}
	})
	b.Run("crypto/tls", func(b *testing.B) {
		buf := make([]byte, bufferSize)
		b.SetBytes(benchBytes)
		for b.Loop() {
			c, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: ca.Pool()})
			if err != nil {
				b.Fatal(err)
			}
			io.CopyBuffer(struct{ io.Writer }{c}, reading{&zeros{left: benchBytes}}, buf)
			c.CloseWrite()
			c.NetConn().(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, c)
			c.Close()
		}
	})
}
