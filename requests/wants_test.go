package requests

import "testing"

// A head that goes on in another packet tells what it can.
func TestWhatTheBeginningOfARequestShows(t *testing.T) {
	for _, tt := range []struct {
		c             Config
		b             string
		wanted, known bool
	}{
		{Config{Paths: []string{"/a"}}, "GET /a", false, false},
		{Config{Paths: []string{"/a"}}, "GET /a HTTP/1.1\r\nHo", true, true},
		{Config{Paths: []string{"/a"}}, "\r\nGET /b HTTP/1.1\r\n", false, true},
		{Config{Hosts: []string{"shop"}}, "GET /a HTTP/1.1\r\nHost: sho", false, false},
		{Config{Hosts: []string{"shop"}}, "GET /a HTTP/1.1\r\nHost: shop\r\nX: ", true, true},
		{Config{Hosts: []string{"shop"}}, "GET /a HTTP/1.1\r\nHost: pay\r\nX: ", false, true},
		{Config{Hosts: []string{"shop"}}, "GET http://shop/a HTTP/1.1\r\nX: ", true, true},
		{Config{Hosts: []string{"shop"}}, "CONNECT shop:443 HTTP/1.1\r\n\r\n", true, true},
		{Config{Hosts: []string{"shop"}}, "POST /a HTTP/1.1\r\n\r\nHost: shop\r\n\r\n", false, true}, // its body
		{Config{Hosts: []string{"shop"}}, "POST /a HTTP/1.1\n\nHost: shop\n", false, true},
	} {
		r, err := New(tt.c)
		if err != nil {
			t.Fatal(err)
		}
		if wanted, known := r.Wants([]byte(tt.b)); wanted != tt.wanted || known != tt.known {
			t.Errorf("%q: wanted %v, known %v", tt.b, wanted, known)
		}
	}
}
