package check

import "testing"

// The server's end of a connection, by what there is to tell it from.
func TestServersEnd(t *testing.T) {
	const vni = 7
	for _, tt := range []struct {
		name    string
		given   uint16
		packets []packet
		want    uint16 // the port of the first packet's connection that is the server's
		guess   bool
	}{
		{"its SYN, though the port is the higher one", 0, []packet{{src: "10.0.0.1:1000", dst: "10.0.0.9:50000", flags: "S"}}, 50000, false},
		{"the answer to it", 0, []packet{{src: "10.0.0.9:50000", dst: "10.0.0.1:1000", flags: "SA"}}, 50000, false},
		{"what is given", 50000, []packet{{src: "10.0.0.1:1000", dst: "10.0.0.9:50000", flags: "A"}}, 50000, false},
		{"a SYN, against what is given", 1000, []packet{{src: "10.0.0.1:1000", dst: "10.0.0.9:50000", flags: "S"}}, 50000, false},
		{"another connection's SYN", 0, []packet{
			{src: "10.0.0.1:1000", dst: "10.0.0.9:50000", flags: "A"},
			{src: "10.0.0.2:2000", dst: "10.0.0.9:50000", flags: "S"}}, 50000, false},
		{"who asks", 0, []packet{{src: "10.0.0.1:1000", dst: "10.0.0.9:50000", flags: "A", payload: get}}, 50000, false},
		{"the port that more share", 0, []packet{
			{src: "10.0.0.1:1000", dst: "10.0.0.9:50000", flags: "A"},
			{src: "10.0.0.9:50000", dst: "10.0.0.2:2000", flags: "A"}}, 50000, false},
		{"who answers", 0, []packet{{src: "10.0.0.9:50000", dst: "10.0.0.1:1000", flags: "A", payload: "HTTP/1.1 200 OK\r\n\r\n"}}, 50000, false},
		{"who asks in HTTP/2", 0, []packet{
			{src: "10.0.0.1:41234", dst: "10.0.0.9:50051", flags: "A", payload: ping},
			{src: "10.0.0.1:41234", dst: "10.0.0.9:50051", flags: "A", payload: request}}, 50051, false},
		{"who answers in HTTP/2", 0, []packet{{src: "10.0.0.9:50051", dst: "10.0.0.1:41234", flags: "A", payload: response}}, 50051, false},
		{"a port that no client is given", 0, []packet{{src: "10.0.0.1:50000", dst: "10.0.0.9:443", flags: "A"}}, 443, false},
		{"the lower port, below 1024 against one that may be a server's", 0, []packet{{src: "10.0.0.1:1000", dst: "10.0.0.9:2049", flags: "A"}}, 1000, true},
		{"the lower port", 0, []packet{{src: "10.0.0.1:41234", dst: "10.0.0.9:50051", flags: "A"}}, 41234, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i := range tt.packets {
				tt.packets[i].vni = vni
			}
			s := seeing(t, testConfig(nil, tt.given), tt.packets...)
			v := s.services.entries[serviceID{vni, tt.want}]
			if v == nil {
				t.Fatalf("no service on port %d, but %v", tt.want, s.services.heaviest())
			}
			if v.guess() != tt.guess {
				t.Errorf("that it is a guess is %v", v.guess())
			}
		})
	}
}

func TestSpeech(t *testing.T) {
	for _, tt := range []struct {
		name    string
		payload string
		want    speech
	}{
		{"a request", "GET /a?b HTTP/1.1\r\nHost: a\r\n", http1},
		{"a request whose line goes on", "POST /abc", http1},
		{"to a proxy", "GET http://a/ HTTP/1.0\r\n", http1},
		{"a tunnel", "CONNECT a:443 HTTP/1.1\r\n", http1},
		{"of a server", "OPTIONS * HTTP/1.1\r\n", http1},
		{"an answer", "HTTP/1.1 200 OK\r\n", unknown},
		{"a line of another protocol", "GET key\r\n", unknown},
		{"a line with a path, of another protocol", "GET /key\r\n", unknown},
		{"a sentence", "HELLO there", unknown},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", http2},
		{"a ClientHello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", tls},
		{"a record", "\x17\x03\x03\x40\x00abcdef", tls},
		{"a record that is too long", "\x17\x03\x03\x48\x01abcdef", unknown},
		{"half a record's header", "\x16\x03\x01", unknown},
		{"nothing", "", unknown},
	} {
		if got := speechOf([]byte(tt.payload)); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
