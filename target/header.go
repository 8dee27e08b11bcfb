package target

import (
	"fmt"
	"net"

	"github.com/pires/go-proxyproto"
)

// Header is a version of the PROXY protocol (haproxy's doc/proxy-protocol.txt).
type Header byte

const (
	NoHeader Header = iota
	HeaderV1        // a line of text
	HeaderV2        // binary
)

// ParseHeader reads v1, v2 or off.
func ParseHeader(text string) (Header, error) {
	for h, name := range [...]string{"off", "v1", "v2"} {
		if text == name {
			return Header(h), nil
		}
	}
	return NoHeader, fmt.Errorf("PROXY protocol %q: need v1, v2 or off", text)
}

// HasHeader reports whether connections begin with a PROXY protocol header.
func (t *Target) HasHeader() bool { return t.header != NoHeader }

// AppendHeader appends the header of a connection that stands for one from client to
// server, which are *net.TCPAddr. It appends nothing if the target gets no header.
func (t *Target) AppendHeader(b []byte, client, server net.Addr) []byte {
	return t.appendFormatted(b, proxyproto.HeaderProxyFromAddrs(byte(t.header), client, server))
}

// appendLocal appends the header of a connection that stands for no client's (section
// 2.2, LOCAL).
func (t *Target) appendLocal(b []byte) []byte {
	return t.appendFormatted(b, proxyproto.HeaderProxyFromAddrs(byte(t.header), nil, nil))
}

func (t *Target) appendFormatted(b []byte, h *proxyproto.Header) []byte {
	if t.header == NoHeader {
		return b
	}
	text, err := h.Format()
	if err != nil { // these addresses cannot be written: the header names none
		text, _ = proxyproto.HeaderProxyFromAddrs(byte(t.header), nil, nil).Format()
	}
	return append(b, text...)
}
