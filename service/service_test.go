package service

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParsePorts(t *testing.T) {
	for _, row := range []struct{ in, out, err string }{
		{in: "8080", out: "8080"},
		{in: "8081,8080", out: "8080-8081"},
		{in: "8080, 9000-9010", out: "8080,9000-9010"},
		{in: "1-10,5-20,20,22", out: "1-20,22"},
		{in: "65535,1", out: "1,65535"},
		{in: "0", err: `port "0" is not a number from 1 to 65535`},
		{in: "65536", err: `port "65536" is not a number`},
		{in: "http", err: `port "http"`},
		{in: "", err: `port ""`},
		{in: "80,", err: `port ""`},
		{in: "90-80", err: "write 80-90"},
		{in: "-80", err: `port range "-80" has one end only; write both, as in 9000-9010`},
		{in: "80,90-", err: `port range "90-" has one end only`},
	} {
		p, err := ParsePorts(row.in)
		if !told(err, row.err) || p.String() != row.out {
			t.Errorf("ParsePorts(%q) = %q, %v; want %q, %s", row.in, p, err, row.out, row.err)
		}
	}
}

func TestParseVNIs(t *testing.T) {
	for _, row := range []struct{ in, out, err string }{
		{in: "42", out: "42"},
		{in: "any", out: "any"},
		{in: "43,42,43", out: "42,43"},
		{in: "0,16777215", out: "0,16777215"},
		{in: "16777216", err: `VNI "16777216"`},
		{in: "42,any", err: `VNI "any"`},
		{in: "", err: `VNI ""`},
		{in: "-1", err: `VNI "-1"`},
	} {
		v, err := ParseVNIs(row.in)
		if !told(err, row.err) || err == nil && v.String() != row.out {
			t.Errorf("ParseVNIs(%q) = %q, %v; want %q, %s", row.in, v, err, row.out, row.err)
		}
	}
}

// told reports whether err says want, or is nil where that is empty.
func told(err error, want string) bool {
	if err == nil || want == "" {
		return err == nil && want == ""
	}
	return strings.Contains(err.Error(), want)
}

// selection reads "VNIS:PORTS".
func selection(t testing.TB, text string) Selection {
	t.Helper()
	vnis, ports, _ := strings.Cut(text, ":")
	v, err := ParseVNIs(vnis)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParsePorts(ports)
	if err != nil {
		t.Fatal(err)
	}
	return Selection{VNIs: v, Ports: p}
}

func TestSelect(t *testing.T) {
	var all []Selection
	for _, text := range []string{
		0: "42:8080",
		1: "any:8080",
		2: "42,43:9000-9010",
		3: "42:8080", // the same again, for another target
		4: "44:1-65535",
	} {
		all = append(all, selection(t, text))
	}
	s, err := NewSelector(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name     string
		vni      uint32
		src, dst uint16
		to, from []ID
	}{
		{"to each service of the selection", 42, 50000, 8080, []ID{0, 1, 3}, nil},
		{"from them", 42, 8080, 50000, nil, []ID{0, 1, 3}},
		{"an id that nobody names", 7, 50000, 8080, []ID{1}, nil},
		{"of which only one port is taken", 7, 50000, 9000, nil, nil},
		{"first of a range", 43, 50000, 9000, []ID{2}, nil},
		{"last of a range", 43, 50000, 9010, []ID{2}, nil},
		{"past a range", 43, 50000, 9011, nil, nil},
		{"from one service to another", 42, 9001, 8080, []ID{0, 1, 3}, []ID{2}},
		{"both ends in one range", 43, 9001, 9002, []ID{2}, []ID{2}},
		{"every port", 44, 65535, 1, []ID{4}, []ID{4}},
		{"every port and one that all ids have", 44, 0, 8080, []ID{1, 4}, nil},
	} {
		to, from := s.Select(row.vni, row.src, row.dst)
		if !slices.Equal(to, row.to) || !slices.Equal(from, row.from) {
			t.Errorf("%s: to %v, from %v; want %v, %v", row.name, to, from, row.to, row.from)
		}
	}
}

func TestSelectorErrors(t *testing.T) {
	many := make([]Selection, Max+1)
	for i := range many {
		many[i] = Selection{Ports: PortsOf(80)}
	}
	ids := make([]uint32, MaxVNIs+1)
	for i := range ids {
		ids[i] = uint32(i)
	}
	for _, row := range []struct {
		name string
		all  []Selection
		want error
	}{
		{"none", nil, ErrNone},
		{"too many", many, ErrMany},
		{"no port", []Selection{{VNIs: VNIsOf(1)}}, ErrNoPorts},
		{"too many ids", []Selection{{VNIs: VNIsOf(ids...), Ports: PortsOf(80)}}, ErrVNIs},
	} {
		if _, err := NewSelector(row.all); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", row.name, err, row.want)
		}
	}
}

// large is as many services and ids as there may be.
func large(t testing.TB) *Selector {
	all := make([]Selection, Max)
	for i := range all {
		ids := make([]uint32, MaxVNIs/Max)
		for j := range ids {
			ids[j] = uint32(i*len(ids) + j)
		}
		all[i] = Selection{VNIs: VNIsOf(ids...), Ports: PortsOf(8080, uint16(9000+i))}
	}
	s, err := NewSelector(all)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSelectAllocatesNothing(t *testing.T) {
	s := large(t)
	if n := testing.AllocsPerRun(100, func() { s.Select(4242, 50000, 8080) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// BenchmarkSelect is a packet of no service, among 100 services of 10 000 ids.
func BenchmarkSelect(b *testing.B) {
	s := large(b)
	for i := range b.N {
		s.Select(uint32(i)%MaxVNIs, 50000, 443)
	}
}
