package check

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"netmirror/requests"
	asked "netmirror/service"
	"netmirror/source"
)

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// conversation is a connection of a client with a service that is mirrored in both
// directions.
func conversation(vni uint32, client, server, request string) []packet {
	return []packet{
		{vni: vni, src: client, dst: server, flags: "S", id: 1},
		{vni: vni, src: server, dst: client, flags: "SA", id: 2},
		{vni: vni, src: client, dst: server, flags: "A", seq: 1, id: 3},
		{vni: vni, src: client, dst: server, flags: "A", seq: 1, id: 4, payload: request},
		{vni: vni, src: server, dst: client, flags: "A", seq: 1, id: 5, payload: "HTTP/1.1 200 OK\r\n\r\n"},
	}
}

func TestWhatIsToldOfAMirror(t *testing.T) {
	packets := append(conversation(7, "10.0.0.1:50001", "10.0.0.9:8080", get), conversation(7, "10.0.0.2:50002", "10.0.0.9:8080", get)...)
	packets = append(packets, packet{vni: 9, src: "10.0.0.3:50003", dst: "10.0.0.9:22", flags: "A", payload: "x"})
	c := testConfig([]uint32{7}, 8080)
	s := seeing(t, c, packets...)
	s.add(encap(t, 9, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6, 0, 1}), source.Ethernet) // ARP
	got, _ := told(t, c, s)
	want := `ok    mirror: 12 packets in 2.0s, 6.0/s
           VNI   port     packets  connections  directions    new of them  speaks
             7   8080          10            2  both                    2  HTTP/1
             9      -           1            -  -                       -  not TCP
             9     22           1            1  clients only            0  -
ok    service: VNI 7, port 8080: 6 packets of clients in 2 connections, 2 of them new
ok    service: VNI 7, port 8080: HTTP/1 in 2 of the 2 connections in which clients sent data

      verdict: netmirror has something to forward. Run:
        netmirror --iface eth0 --vni 7 --port 8080 --to HOST:PORT
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestWhatIsToldOfAService(t *testing.T) {
	const client, server = "10.0.0.1:50001", "10.0.0.9:8080"
	ask := func(payload string) []packet { return conversation(7, client, server, payload) }
	ours := testConfig([]uint32{7}, 8080)
	for _, tt := range []struct {
		name    string
		config  Config
		packets []packet
		says    string
		first   string // the beginning of the first remedy; "" where there is to be no fault
	}{
		{"found out", testConfig(nil, 0), ask(get), "netmirror --iface eth0 --vni 7 --port 8080 --to HOST:PORT", ""},
		{"found out beside a stranger's knock", testConfig(nil, 0), append(ask(get), packet{vni: 7, src: client, dst: "10.0.0.9:22", flags: "S"}),
			"netmirror --iface eth0 --vni 7 --port 8080 --to HOST:PORT", ""},
		{"two services", testConfig(nil, 0), append(ask(get), conversation(8, client, server, get)...),
			"several were seen", "choose the one in the table to forward, the busiest for example: netmirror check --iface eth0 --vni 7 --port 8080"},
		{"two services, the VNI given", testConfig([]uint32{8}, 0), append(ask(get), conversation(8, client, server, get)...),
			"netmirror --iface eth0 --vni 8 --port 8080 --to HOST:PORT", ""},
		{"a service in two VNIs, any asked for", ofAnyVNI(8080), append(ask(get), conversation(8, client, server, get)...),
			"netmirror --iface eth0 --vni any --port 8080 --to HOST:PORT", ""},
		{"two services, any VNI asked for", ofAnyVNI(0), append(append(ask(get), ask(get)...), conversation(8, client, "10.0.0.9:80", get)...),
			"several were seen", "choose the one in the table to forward, the busiest for example: netmirror check --iface eth0 --vni any --port 8080"},
		{"wrong VNI", testConfig([]uint32{42}, 8080), ask(get), "no packets of VNI 42; seen: 7 (5 packets)", "use --vni 7"},
		{"wrong VNI, two there", testConfig([]uint32{42}, 8080), append(ask(get), conversation(8, client, "10.0.0.9:80", get)...),
			"no packets of VNI 42; seen: 7 (5 packets), 8 (5 packets)", "use --vni 7, which has that port"},
		{"one of two VNIs", testConfig([]uint32{7, 42}, 8080), ask(get), "note  service: no packets of TCP port 8080 in VNI 42", ""},
		{"wrong port", testConfig([]uint32{7}, 80), ask(get), "no packets of VNI 7 of TCP port 80; seen: 8080 (VNI 7, 5 packets)", "use --port 8080"},
		{"wrong port, VNI not given", testConfig(nil, 80), ask(get), "no packets of TCP port 80; seen: 8080 (VNI 7, 5 packets)", "use --port 8080"},
		{"servers' side only", ours, []packet{{vni: 7, src: server, dst: client, flags: "A", payload: "HTTP/1.1 200 OK\r\n"}},
			"only the servers' side is mirrored", "mirror the other direction too, the packets that go to port 8080"},
		{"clients' side only", ours, []packet{{vni: 7, src: client, dst: server, flags: "A", payload: get}},
			"only the clients' side is mirrored, which is enough", ""},
		{"older than the look", ours, []packet{{vni: 7, src: client, dst: server, flags: "A", payload: get}}, "no new connection was seen", ""},
		{"older than the look, and not HTTP/1", ours, []packet{{vni: 7, src: client, dst: server, flags: "A", payload: "\x00\x01\x02"}},
			"no stream can begin", "watch for longer with --time 1m, or make the clients reconnect"},
		{"the same with --midstream any", with(ours, "any"), []packet{{vni: 7, src: client, dst: server, flags: "A", payload: "\x00\x01\x02"}},
			"--port 8080 --to HOST:PORT --midstream any", ""},
		{"an older one with --midstream off", with(ours, "off"), []packet{{vni: 7, src: client, dst: server, flags: "A", payload: get}},
			"--midstream is off", "watch for longer with --time 1m"},
		{"the same beside a stranger's knock", ours, []packet{
			{vni: 7, src: client, dst: server, flags: "A", payload: "\x00\x01\x02"},
			{vni: 7, src: "10.0.0.3:50003", dst: server, flags: "S"}},
			"no stream can begin", "watch for longer with --time 1m"},
		{"the same beside an HTTP/1 request", ours, []packet{
			{vni: 7, src: client, dst: server, flags: "A", payload: "\x00\x01\x02"},
			{vni: 7, src: "10.0.0.3:50003", dst: server, flags: "A", payload: get}},
			"no new connection was seen", ""},
		{"TLS, older than the look", ours, []packet{{vni: 7, src: client, dst: server, flags: "A", payload: "\x17\x03\x03\x00\x02ab"}},
			"TLS in 1 of the 1", "mirror behind the TLS termination"},
		{"nothing said", ours, []packet{{vni: 7, src: client, dst: server, flags: "A"}}, "nothing but acknowledgements", "watch for longer with --time, or while the service is busy"},
		{"nothing said in a file", inFile(ours), []packet{{vni: 7, src: client, dst: server, flags: "A"}}, "nothing but acknowledgements", "make a capture that lasts longer, or while the service is busy"},
		{"older than a file, and not HTTP/1", inFile(ours), []packet{{vni: 7, src: client, dst: server, flags: "A", payload: "\x00\x01\x02"}},
			"no stream can begin", "make a capture that lasts longer, or make the clients reconnect meanwhile"},
		{"opened, nothing said", ours, []packet{{vni: 7, src: client, dst: server, flags: "S"}}, "opened connections and sent nothing", ""},
		{"HTTP/2", ours, ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "HTTP/2 in 1 of the 1 connection", ""},
		{"TLS", ours, ask("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "TLS in 1 of the 1 connection", "mirror behind the TLS termination"},
		{"only clients that are left out", leaving(ours, "10.77.0.0/16"), ask(get), "FAULT service: VNI 7, port 8080: --clients leaves out the clients of the only connection",
			"correct --clients, or"},
		{"the same beside one who sends nothing", leaving(ours, "10.0.0.3"), append(ask(get), packet{vni: 7, src: "10.0.0.3:50003", dst: server, flags: "S"}),
			"--clients leaves out the clients of the only connection", "correct --clients, or"},
		{"clients that one list takes and the other does not", leaving(ours, "10.0.0.0/8", "10.0.0.0/8"), ask(get), "--clients and --exclude-clients leave out the clients", "correct --clients and --exclude-clients, or"},
		{"clients that are excluded", leaving(ours, "", "10.0.0.0/8"), ask(get), "--exclude-clients leaves out the clients of the only connection", "correct --exclude-clients, or"},
		{"a client that is left out, and another", leaving(ours, "10.0.0.2"), append(ask(get), conversation(7, "10.0.0.2:50002", server, get)...),
			"note  service: VNI 7, port 8080: --clients leaves out 1 of the 2 connections in which clients sent data", ""},
		{"the same at a second port, where clients send nothing", leaving(Config{Interface: "eth0", VNIs: []uint32{7}, Ports: asked.Ports{{First: 8080, Last: 8081}}}.withDefaults(), "10.77.0.0/16"),
			append(ask(get), silent("10.0.0.9:8081", 9)...), "--clients leaves out the clients of the only connection", "correct --clients, or"},
		{"a sample of none", choosing(ours, "1/4000000", requests.Config{}), ask(get),
			"note  service: VNI 7, port 8080: --sample leaves out all that was seen, 1 connection in which clients sent data; watch for longer", ""},
		{"a sample of none of a file", inFile(choosing(ours, "1/4000000", requests.Config{})), ask(get),
			"FAULT service: VNI 7, port 8080: --sample leaves out all that the capture has, 1 connection in which", "give a larger share with --sample"},
		{"a sample of some", choosing(ours, "50%", requests.Config{}), askedBy(8), "--sample leaves out 2 of the 8 connections in which clients sent data", ""},
		{"no request of the path", choosing(ours, "all", requests.Config{Paths: []string{"/nix"}}), askedBy(3),
			"FAULT service: VNI 7, port 8080: 0 of the 3 requests that were looked at pass --only-path", "correct --only-path, or watch for longer with --time"},
		{"no request of the host, nor of the path", choosing(ours, "all", requests.Config{Paths: []string{"/"}, Hosts: []string{"nix"}}), ask(get + "GET /"),
			"0 of the 1 request that were looked at pass --only-path and --only-host", "correct --only-path and --only-host"},
		{"one request of two", choosing(ours, "all", requests.Config{Hosts: []string{"shop"}}), append(ask("GET / HTTP/1.1\r\nHost: shop\r\n"), conversation(7, "10.0.0.2:50002", server, get)...),
			"note  service: VNI 7, port 8080: 1 of the 2 requests that were looked at pass --only-host", ""},
		{"a request without a line's end", choosing(ours, "all", requests.Config{Hosts: []string{"a"}}), ask("GET / HTTP/1.1\r\nHost: "),
			"note  service: VNI 7, port 8080: no request shows in one packet whether it passes --only-host", ""},
		{"requests of the path, mirrored twice", choosing(ours, "all", requests.Config{Paths: []string{"/"}}), twice(ask(get)), "HTTP/1 in 1 of the 1 connection", ""},
		{"a path, of what is not HTTP/1", choosing(ours, "all", requests.Config{Paths: []string{"/"}}), ask("\x00\x01\x02"),
			"FAULT service: VNI 7, port 8080: HTTP/1 in none of the connections, and nothing else can pass --only-path", "leave --only-path out"},
		{"no client that is left out", leaving(ours, "10.0.0.0/8"), ask(get), "HTTP/1 in 1 of the 1 connection", ""},
		{"something else", ours, ask("\x00\x01\x02"), "neither HTTP nor TLS", ""},
		{"truncated", ours, []packet{{vni: 7, src: client, dst: server, flags: "A", payload: get, cut: 5}},
			"truncated: 1 of 1 packet with data from clients, to 62 bytes", "make the mirror send whole packets: no PacketLength on the mirror session, and an MTU of the mirrored hosts of 8947 or less"},
		{"few truncated", ours, append(append(ask(get), ask(get)...), packet{vni: 7, src: client, dst: server, flags: "A", seq: 27, payload: get, cut: 5}),
			"note  service: VNI 7, port 8080: truncated: 1 of 3 packets with data", ""},
		{"a good third truncated", ours, append(pieces(server, 51, 0), pieces(server, 26, 5)...),
			"FAULT service: VNI 7, port 8080: truncated: 26 of 77 packets with data from clients", "make the mirror send whole packets"},
		{"truncated in the header", ours, []packet{{vni: 7, src: client, dst: server, flags: "A", cut: 12}},
			"cut within their headers, to at most 34 bytes of IP (1 tcp_truncated)", "make the mirror send whole packets"},
		{"twice", ours, twice(ask(get)), "5 of 10 packets came twice", ""},
		{"over IPv6", testConfig(nil, 0), conversation(7, "[fd00::1]:50001", "[fd00::9]:8080", get), "--vni 7 --port 8080", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, first := told(t, tt.config, seeing(t, tt.config, tt.packets...))
			if !strings.Contains(got, tt.says) {
				t.Errorf("it does not say %q", tt.says)
			}
			if tt.first == "" && first != "" || !strings.HasPrefix(first, tt.first) {
				t.Errorf("the first remedy is %q, want %q", first, tt.first)
			}
			if t.Failed() {
				t.Logf("it said\n%s", got)
			}
		})
	}
}

// inFile is a look at a capture file in place of an interface.
func inFile(c Config) Config {
	c.Interface, c.Capture = "", &Capture{Files: []string{"a.pcap"}}
	return c
}

func with(c Config, midstream string) Config {
	c.Midstream = midstream
	return c
}

// askedBy are connections of so many clients with a request each.
func askedBy(clients int) (all []packet) {
	for i := range clients {
		all = append(all, conversation(7, fmt.Sprintf("10.0.0.%d:50001", 20+i), "10.0.0.9:8080", get)...)
	}
	return all
}

// silent are connections to a server in which nothing is sent.
func silent(server string, n int) (all []packet) {
	for i := range n {
		all = append(all, packet{vni: 7, src: fmt.Sprintf("10.0.0.4:%d", 50000+i), dst: server, flags: "S"})
	}
	return all
}

// pieces are packets with data to a server, each of a connection of its own and with so many
// bytes cut off.
func pieces(server string, n, cut int) (all []packet) {
	for i := range n {
		all = append(all, packet{vni: 7, src: fmt.Sprintf("10.0.%d.1:%d", cut, 50000+i), dst: server, flags: "A", payload: get, cut: cut})
	}
	return all
}

// leaving gives a configuration in which only these clients are forwarded, "" being all, but for
// those to except.
func leaving(c Config, only string, except ...string) Config {
	var taken []string
	if only != "" {
		taken = []string{only}
	}
	c.Clients, _ = asked.NewClients(taken, except)
	return c
}

// choosing gives a configuration with a share of the connections, and these requests of them.
func choosing(c Config, share string, of requests.Config) Config {
	c.Sample, _ = asked.NewSample(share, asked.ByClient, "")
	c.Requests = of
	return c
}

func ofAnyVNI(port uint16) Config {
	c := testConfig(nil, port)
	c.EveryVNI = true
	return c
}

func twice(packets []packet) (all []packet) {
	for _, p := range packets {
		all = append(all, p, p)
	}
	return all
}

// A retransmission is no copy that the mirror made.
func TestRepeats(t *testing.T) {
	const client, server = "10.0.0.1:50001", "10.0.0.9:8080"
	c := testConfig([]uint32{7}, 8080)
	s := seeing(t, c,
		packet{vni: 7, src: client, dst: server, flags: "A", id: 10, payload: get},
		packet{vni: 7, src: client, dst: server, flags: "A", id: 11, payload: get},
		packet{vni: 7, src: client, dst: server, flags: "A", id: 12, seq: 27, payload: get},
		packet{vni: 7, src: client, dst: server, flags: "A", id: 11, payload: get},
	)
	if n := s.services.entries[serviceID{7, 8080}].repeats; n != 1 {
		t.Errorf("%d packets are a copy, want 1", n)
	}
}

// What a packet carries never reaches the terminal.
func FuzzReport(f *testing.F) {
	for _, p := range conversation(7, "10.0.0.1:50001", "10.0.0.9:8080", "GET /\x1b[2J HTTP/1.1\r\n") {
		f.Add(p.frame(f))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		for _, c := range []Config{testConfig(nil, 0), testConfig([]uint32{7}, 8080)} {
			s := seeing(t, c)
			s.add(frame, source.Ethernet)
			s.flows.fold()
			got, _ := told(t, c, s)
			for _, b := range []byte(got) {
				if b != '\n' && (b < ' ' || b > '~') {
					t.Fatalf("it writes byte %#x: %q", b, got)
				}
			}
		}
	})
}

// In a file whose packets were cut when it was written, the mirror is not to blame.
func TestCutByWhoeverWroteTheFile(t *testing.T) {
	c := testConfig([]uint32{7}, 8080)
	s := seeing(t, c, packet{vni: 7, src: "10.0.0.1:50001", dst: "10.0.0.9:8080", flags: "A", payload: "GET / HTTP/1.1\r\n\r\n", cut: 5})
	s.mtu, s.capture.Cut = 0, 1
	if _, first := told(t, c, s); !strings.HasPrefix(first, "capture whole packets: tcpdump -s 0") {
		t.Errorf("the first remedy is %q", first)
	}
}
