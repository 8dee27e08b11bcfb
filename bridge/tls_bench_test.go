package bridge

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

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
	targettest.Serve(b, ln, func(c net.Conn) {
		io.CopyBuffer(struct{ io.Writer }{io.Discard}, c, make([]byte, bufferSize))
	})
	b.Run("bridge", func(b *testing.B) {
		benchStreams(b, Config{Target: "tls://" + ln.Addr().String(), Options: target.Options{TLS: target.TLSOptions{CA: ca.File(b)}}})
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
