package corpus

import (
	"encoding/binary"

	"netmirror/wire/wiretest"
)

// Headers of GRE (RFC 2784, RFC 2890), by hand.
var (
	greKeyed    = []byte{0x20, 0, 0x65, 0x58, 0, 0, 0, 42}
	greNumbered = []byte{0x10, 0, 0x88, 0xbe, 0, 0, 0, 1}
)

// wrapped are the scripts in which the mirror sends something else than VXLAN.
func wrapped() (scripts []script) {
	for _, m := range []struct {
		name   string
		mirror Mirror
		args   []string
	}{
		{"GENEVE", Mirror{Port: 6081, Header: wiretest.Geneve(42, 0x6558)}, nil},
		{"GENEVE with options", Mirror{Port: 6081, Header: wiretest.Geneve(42, 0x6558, wiretest.AWSOptions...)}, nil},
		{"VXLAN-GPE", Mirror{Port: 4790, Header: wiretest.GPE(42, 3)}, nil},
		{"TZSP", Mirror{Port: 37008, Header: wiretest.TZSP()}, []string{"--vni", "0"}},
		{"GRE with a key", Mirror{GRE: true, Header: greKeyed}, nil},
		{"ERSPAN type I", Mirror{GRE: true, Header: []byte{0, 0, 0x88, 0xbe}}, []string{"--vni", "0"}},
		{"ERSPAN type II", Mirror{GRE: true, Header: append(greNumbered[:8:8], 0x10, 0, 0, 42, 0, 0, 0, 0)}, nil},
		{"ERSPAN type III", Mirror{GRE: true, Header: append([]byte{0x10, 0, 0x22, 0xeb, 0, 0, 0, 1}, wiretest.ERSPAN3(42, 0)...)}, []string{"--encap", "erspan"}},
		{"nothing", Mirror{Bare: true}, []string{"--encap", "none"}},
		{"VXLAN to several ports", Mirror{Port: 5000, Header: vxlan(42)}, []string{"--mirror-port", "4789,5000"}},
	} {
		scripts = append(scripts, script{"the service's packets are found in " + m.name, []shape{two, six, onePlain}, m.args, func(s *scene) {
			s.mirror = m.mirror
			lossy(s)
		}})
	}
	return append(scripts, script{"the service's packets are found in VXLAN in GENEVE, as of AWS", fewShapes, nil, func(s *scene) {
		s.mirror = Mirror{Port: 6081, IP: true, Header: wiretest.Geneve(0, 0x0800, wiretest.AWSOptions...)}
		s.wrap = func(ip []byte) [][]byte { return [][]byte{overlay(4789, vxlan(42), ethernet(ip))} }
		lossy(s)
	}}, script{"the packets of a mirrored overlay come in GENEVE over IP", fewShapes, nil, func(s *scene) {
		s.mirror = Mirror{Port: 6081, IP: true, Header: binary.BigEndian.AppendUint32([]byte{0, 0, 8, 0}, 42<<8)}
		s.wrap = func(ip []byte) [][]byte { return [][]byte{overlay(8472, vxlan(1), ethernet(ip))} }
		lossy(s)
	}})
}
