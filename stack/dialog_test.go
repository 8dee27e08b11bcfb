package stack

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"
)

// dialog is a connection between a model of a client and one of its server, which the
// mirror shows as it is. Strays come between its packets: they are of no connection, and
// by RFC 9293, section 3.10.7.4, RFC 5961 and RFC 7323 its ends drop each of them.
type dialog struct {
	*timed
	c       *client
	twoWay  bool
	stamps  bool
	off     int    // what the client has sent
	got     int    // what the server has acknowledged
	reply   uint32 // the server's next sequence number
	acked   uint32 // what the client has acknowledged
	content strings.Builder
	log     []string
}

// at is the client, whose timestamps are those of now, or older.
func (d *dialog) at(ago time.Duration) *client {
	if !d.stamps {
		return d.c
	}
	return d.c.stamped(uint32(50_000_000 + (time.Duration(d.clk.elapsed.Load()) - ago).Milliseconds()))
}

func (d *dialog) mirror(m Segment) {
	if m.FromServer && !d.twoWay {
		return
	}
	tcp := m.IP[m.TCP:]
	seq, ack := binary.BigEndian.Uint32(tcp[4:]), binary.BigEndian.Uint32(tcp[8:])
	who, so, ao := "client", int32(seq-d.c.isn-1), int32(ack-1000)
	if m.FromServer {
		who, so, ao = "server", int32(seq-1000), int32(ack-d.c.isn-1)
	}
	d.log = append(d.log, fmt.Sprintf("%8v %s seq %d ack %d flags %#x, %q", time.Duration(d.clk.elapsed.Load()), who, so, ao, tcp[13], trunc(tcp[tcp[12]>>4*4:])))
	d.Inject([]Segment{m})
	d.pass(100 * time.Microsecond)
}

func trunc(b []byte) []byte { return b[:min(len(b), 20)] }

// client sends text, or a bare ACK.
func (d *dialog) client(text string, flags string) {
	d.acked = d.reply
	d.mirror(d.at(0).packet(d.off, []byte(text), func(t *layers.TCP) {
		t.Ack, t.PSH, t.FIN = d.acked, text != "", strings.Contains(flags, "F")
	}))
	d.off += len(text)
	d.content.WriteString(text)
}

// server answers.
func (d *dialog) server(text string) {
	d.got = d.off
	d.mirror(d.c.answer(d.reply, d.got, text, nil))
	d.reply += uint32(len(text))
}

type dstep func(d *dialog)

func say(text string) dstep  { return func(d *dialog) { d.client(text, "") } }
func told(text string) dstep { return func(d *dialog) { d.server(text) } }
func bare(d *dialog)         { d.client("", "") }

func rounds(texts ...string) (steps []dstep) {
	for _, x := range texts {
		steps = append(steps, say(x), told(noContent), bare)
	}
	return steps
}

func bytewise(text string) (steps []dstep) {
	for i := range text {
		steps = append(steps, say(text[i:i+1]))
		if i%5 == 4 {
			steps = append(steps, told(""))
		}
	}
	return append(steps, told(noContent), bare)
}

func posted() (steps []dstep) {
	body := strings.Repeat("0123456789abcdef\n", 40)
	for i, part := range []string{"POST /p HTTP/1.1\r\nContent-Length: 680\r\n\r\n", body[:200], body[200:300], body[300:310], body[310:]} {
		steps = append(steps, say(part))
		if i%2 == 1 {
			steps = append(steps, told(""))
		}
	}
	return append(steps, told(noContent), bare)
}

func framed() (steps []dstep) {
	steps = append(steps, say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), told("settings of the server"), bare)
	for i := range 6 {
		steps = append(steps, say(fmt.Sprintf("frame %d of a length", i)), told(fmt.Sprintf("answer %d", i)))
	}
	return append(steps, bare)
}

func scripts() map[string][]dstep {
	gets := rounds(get1, get2, get3, get2, get1)
	return map[string][]dstep{
		"gets":  gets,
		"post":  slices.Concat(rounds(get1), posted(), rounds(get2, get3)),
		"post1": slices.Concat(posted(), rounds(get2, get3)),
		"bytes": slices.Concat(rounds(get1), bytewise(get2), rounds(get3)),
		"h2":    framed(),
	}
}

// strayKinds are the strays.
func strayKinds() map[string]func(d *dialog) {
	kinds := map[string]func(d *dialog){}
	cl := func(name string, make func(d *dialog) Segment, asks bool) {
		kinds[name] = func(d *dialog) {
			d.mirror(make(d))
			if asks {
				d.mirror(d.c.answer(d.reply, d.got, "", nil))
			}
		}
		if asks {
			kinds[name+", unanswered"] = func(d *dialog) { d.mirror(make(d)) }
		}
	}
	sv := func(name string, make func(d *dialog) Segment, asks bool) {
		kinds["server's "+name] = func(d *dialog) {
			if !d.twoWay {
				return
			}
			d.mirror(make(d))
			if asks {
				d.mirror(d.at(0).packet(d.off, nil, func(t *layers.TCP) { t.Ack = d.reply }))
			}
		}
	}
	pk := func(off int, text string, set func(t *layers.TCP, d *dialog)) func(d *dialog) Segment {
		return func(d *dialog) Segment {
			return d.at(0).packet(d.off+off, []byte(text), func(t *layers.TCP) {
				t.Ack = d.acked
				set(t, d)
			})
		}
	}
	const evil = "GET /evil HTTP/1.1\r\n\r\n"
	for _, k := range []uint32{1, 27, 100, 30_000, 5 << 20, 1 << 30} {
		for _, off := range []int{0, 5, -3} {
			cl(fmt.Sprintf("data %+d ack S%+d", off, k), pk(off, evil, func(t *layers.TCP, d *dialog) { t.Ack = d.reply + k }), true)
		}
		cl(fmt.Sprintf("FIN ack S%+d", k), pk(0, "", func(t *layers.TCP, d *dialog) { t.Ack, t.FIN = d.reply+k, true }), true)
		cl(fmt.Sprintf("data FIN ack S%+d", k), pk(0, "x", func(t *layers.TCP, d *dialog) { t.Ack, t.FIN = d.reply+k, true }), true)
		cl(fmt.Sprintf("bare ack S%+d", k), pk(0, "", func(t *layers.TCP, d *dialog) { t.Ack = d.reply + k }), true)
	}
	cl("data ack S-1G", pk(0, evil, func(t *layers.TCP, d *dialog) { t.Ack = d.reply - 1<<30 }), true)
	for _, off := range []int{9 << 20, 200 << 20, 1 << 30, 3 << 29, -5, -20, -1000, -5 << 20} {
		text := evil
		if off > -len(evil) && off < 0 {
			text = evil[:-off]
		}
		cl(fmt.Sprintf("data %+d", off), pk(off, text, func(t *layers.TCP, d *dialog) {}), true)
		cl(fmt.Sprintf("FIN %+d", off), pk(off, "", func(t *layers.TCP, d *dialog) { t.FIN = true }), true)
		cl(fmt.Sprintf("bare %+d", off), pk(off, "", func(t *layers.TCP, d *dialog) {}), true)
	}
	for _, off := range []int{1, 5, 700, 5000, 9 << 20, 200 << 20, 1 << 30, 3 << 29, -1, -5, -1000, -5 << 20} {
		cl(fmt.Sprintf("RST %+d", off), pk(off, "", func(t *layers.TCP, d *dialog) { t.RST = true }), true)
		cl(fmt.Sprintf("bare RST %+d", off), pk(off, "", func(t *layers.TCP, d *dialog) { t.RST, t.ACK, t.Ack = true, false, 0 }), true)
		sv(fmt.Sprintf("RST %+d", off), func(d *dialog) Segment { return d.c.server(d.reply+uint32(off), d.off, "R") }, true)
		cl(fmt.Sprintf("SYN %+d", off), pk(off, "", func(t *layers.TCP, d *dialog) {
			t.SYN, t.ACK, t.Ack = true, false, 0
			t.Options = []layers.TCPOption{{OptionType: layers.TCPOptionKindWindowScale, OptionData: []byte{7}}}
		}), true)
		cl(fmt.Sprintf("data without ACK %+d", off), pk(off, evil, func(t *layers.TCP, d *dialog) { t.ACK, t.Ack = false, 0 }), false)
		sv(fmt.Sprintf("SYN-ACK %+d", off), func(d *dialog) Segment { return d.c.server(d.reply+uint32(off), d.off+off, "SA") }, true)
	}
	for _, off := range []int{1, 5, 700, 5000, 9 << 20, 200 << 20, 1 << 30, 3 << 29} {
		sv(fmt.Sprintf("ACK %+d", off), func(d *dialog) Segment { return d.c.answer(d.reply, d.off+off, "", nil) }, true)
		sv(fmt.Sprintf("data ACK %+d", off), func(d *dialog) Segment { return d.c.answer(d.reply, d.off+off, "data", nil) }, true)
		sv(fmt.Sprintf("data ahead %+d", off+1<<20), func(d *dialog) Segment { return d.c.answer(d.reply+uint32(off+1<<20), d.off, "data", nil) }, true)
		sv(fmt.Sprintf("FIN ahead %+d", off+1<<20), func(d *dialog) Segment {
			return d.c.answer(d.reply+uint32(off+1<<20), d.off, "", func(t *layers.TCP) { t.FIN = true })
		}, true)
	}
	old := func(off int, text, flags string) func(d *dialog) Segment {
		return func(d *dialog) Segment {
			return d.at(90*time.Second).packet(d.off+off, []byte(text), func(t *layers.TCP) {
				t.Ack, t.FIN = d.acked, strings.Contains(flags, "F")
			})
		}
	}
	for _, off := range []int{0, 5, 700, 60_000} {
		for _, what := range []struct{ text, flags string }{{evil, ""}, {"", "F"}, {evil, "F"}, {"", ""}} {
			name := fmt.Sprintf("old stamp %+d %d bytes %s", off, len(what.text), what.flags)
			make := old(off, what.text, what.flags)
			kinds[name] = func(d *dialog) {
				if !d.stamps {
					return
				}
				d.mirror(make(d))
				d.mirror(d.c.answer(d.reply, d.got, "", nil))
			}
		}
	}
	return kinds
}

// TestStraysChangeNothing plays a dialog with a stray packet at a random place of it, of a
// kind that the mirror shows enough to tell.
func TestStraysChangeNothing(t *testing.T) {
	all, kinds := scripts(), strayKinds()
	names := slices.Sorted(maps.Keys(kinds))
	rapid.Check(t, func(rt *rapid.T) {
		shape := rapid.SampledFrom([]string{"two", "two stamps", "one", "one stamps", "older two", "older two stamps"}).Draw(rt, "shape")
		older := strings.HasPrefix(shape, "older")
		name := rapid.SampledFrom(names).Filter(func(name string) bool {
			// The mirror must show the server's answer, or the place must tell.
			// Of an older connection, it cannot be told from one whose answers the mirror lost.
			return strings.Contains(shape, "two") && !strings.HasSuffix(name, "unanswered") && !(older && strings.Contains(name, "ack S+")) ||
				strings.Contains(shape, "one") && !strings.Contains(name, "ack S")
		}).Draw(rt, "stray")
		script := rapid.SampledFrom([]string{"gets", "post", "bytes", "h2"}).Filter(func(s string) bool { return !older || s != "h2" }).Draw(rt, "script")
		first := 0
		if older {
			first = 5 // before that, nobody knows where the connection is
		}
		at := rapid.IntRange(first, len(all[script])).Draw(rt, "at")
		pause := rapid.SampledFrom([]time.Duration{time.Millisecond, 60 * time.Millisecond, 400 * time.Millisecond, 4 * time.Second}).Draw(rt, "pause")
		if what, log := playDialog(t, all[script], shape, kinds[name], at, pause); what != "" {
			rt.Fatalf("%s: %s", what, log)
		}
	})
	noLeaks(t)
}

// playDialog plays one dialog, and says what is wrong with the client's streams, if anything.
func playDialog(t *testing.T, steps []dstep, shape string, stray func(d *dialog), at int, pause time.Duration) (what, log string) {
	clk := new(clock)
	st, err := New(Config{Now: clk.now})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	s := &timed{st, readEverything(st), clk, t}
	d := &dialog{timed: s, c: newClient(t, 0xffffffff-50), twoWay: strings.Contains(shape, "two"), stamps: strings.Contains(shape, "stamps"), reply: 1000, acked: 1000}
	if !strings.Contains(shape, "older") {
		syn := d.c.syn()
		if d.stamps {
			syn = d.at(0).packet(-1, nil, func(t *layers.TCP) {
				t.SYN, t.ACK, t.Ack = true, false, 0
				t.Options = append(t.Options, layers.TCPOption{OptionType: layers.TCPOptionKindWindowScale, OptionData: []byte{7}})
			})
		}
		d.mirror(syn)
		if d.twoWay {
			d.mirror(d.c.accepts(65535, 7))
		}
		d.client("", "")
	}
	for i, step := range steps {
		if i == at {
			stray(d)
			s.pass(pause)
		}
		step(d)
		s.pass(2 * time.Millisecond)
	}
	if at == len(steps) {
		stray(d)
		s.pass(pause)
	}
	s.pass(200 * time.Millisecond)
	d.client("", "F")
	d.off++
	d.mirror(d.c.answer(d.reply, d.off, "", func(t *layers.TCP) { t.FIN = true }))
	s.pass(12 * time.Second)
	s.Shutdown()
	s.pass(time.Second)
	s.wg.Wait()
	streams := s.streams[d.c.src.String()]
	slices.SortFunc(streams, func(a, b stream) int { return a.nth - b.nth })
	var all strings.Builder
	for _, x := range streams {
		if !strings.Contains(d.content.String(), string(x.bytes)) {
			what = "ALTERED"
		}
		all.Write(x.bytes)
	}
	switch {
	case what != "":
	case all.String() != d.content.String():
		what = "LOST"
	case len(streams) != 1:
		what = "split"
	case streams[0].err != nil:
		what = "end"
	}
	return what, fmt.Sprint(describe(streams), "\n", strings.Join(d.log, "\n"))
}
