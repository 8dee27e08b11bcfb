package check

import "testing"

// What a connection begins with is judged by what servers take; later on a line
// has to be one that is unmistakable.
func TestRequestsOfAConnection(t *testing.T) {
	const client, server = "10.0.0.1:50001", "10.0.0.9:8080"
	const lenient = "frobnicate a b HTTP/1.1\r\n\r\n"
	syn := packet{vni: 7, src: client, dst: server, flags: "S"}
	sent := func(payload string) packet {
		return packet{vni: 7, src: client, dst: server, flags: "A", seq: 1, id: 1, payload: payload}
	}
	for _, tt := range []struct {
		name    string
		packets []packet
		want    uint64 // connections that are HTTP/1
	}{
		{"a request", []packet{syn, sent(get)}, 1},
		{"a request of an older connection", []packet{sent(get)}, 1},
		{"a request that only servers take for one", []packet{syn, sent(lenient)}, 1},
		{"the same in an older connection", []packet{sent(lenient)}, 0},
		{"half a method", []packet{sent(get[1:])}, 0},
		{"a PROXY header and a request", []packet{syn, sent("PROXY UNKNOWN\r\n" + get)}, 1},
		{"a PROXY header, and a request in the next packet", []packet{syn, sent("PROXY UNKNOWN\r\n"), sent(get)}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := seeing(t, testConfig(nil, 8080), tt.packets...)
			if got := s.services.entries[serviceID{7, 8080}].speaks[http1]; got != tt.want {
				t.Errorf("HTTP/1 in %d connections, want %d", got, tt.want)
			}
		})
	}
}
