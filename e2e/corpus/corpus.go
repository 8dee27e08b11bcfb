// Package corpus holds captures that netmirror must get right: frames of a
// mirrored host, built packet by packet, together with the streams that the
// host's real server took from them. Each script shows one kind of fault, seen
// from several sides. The expectations come from the RFCs and from what the
// real server does; nothing here shares code with netmirror.
package corpus

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// Port is the port of the mirrored service.
const Port = 8443

// Frame is a captured Ethernet frame, without the mirror's encapsulation.
type Frame struct {
	At     time.Duration // since the capture's start
	Bytes  []byte
	Server bool // the server sent it
	Fresh  bool // the client's payload in it is new and real
	Data   int  // bytes of TCP payload
}

// Stream is a connection that the target gets: its bytes, and "eof" or "reset".
type Stream struct {
	Bytes []byte
	End   string
}

// Capture is what one row of the corpus plays and expects.
type Capture struct {
	Name   string
	Args   []string // netmirror's further flags
	Mirror Mirror   // how the mirror sends the frames
	Frames []Frame
	Want   []Stream         // in any order, all of them and no others
	Or     [][]Stream       // each as right as Want
	Counts map[string]int64 // figures of netmirror's last stats line
}

// Mirror is what is in front of each frame when it is sent. The zero value is VXLAN,
// VNI 42.
type Mirror struct {
	Port   uint16 // the UDP port; 0: VXLAN's usual one
	GRE    bool   // over IP, without UDP
	Bare   bool   // as it is
	IP     bool   // it carries IP packets, which the frames are then
	Header []byte
}

// shape is how a script's connections look on the wire.
type shape struct {
	name   string
	oneWay bool // the server's frames are not mirrored
	ipv6   bool
	plain  bool // neither timestamps nor window scale
}

var (
	two      = shape{name: "both directions"}
	one      = shape{name: "one direction", oneWay: true}
	six      = shape{name: "IPv6", ipv6: true}
	plain    = shape{name: "no timestamps, no window scale", plain: true}
	onePlain = shape{name: "one direction, no timestamps, no window scale", oneWay: true, plain: true}
)

var (
	everyShape = []shape{two, one, six, plain, onePlain}
	fewShapes  = []shape{two, onePlain}
	twoWay     = []shape{two, plain}
)

// script is one kind of fault. Its name is a claim.
type script struct {
	name   string
	shapes []shape
	args   []string
	play   func(s *scene)
}

// All returns the whole corpus. It is the same at every call.
func All() []Capture {
	var all []Capture
	for _, scripts := range [][]script{
		probes(), strays(), early(), rejected(), reuse(), packets(), framing(), lines(), proxied(), multipath(), layered(), wrapped(), controls(),
	} {
		for _, sc := range scripts {
			for _, sh := range sc.shapes {
				name := fmt.Sprintf("%s, %s", sc.name, sh.name)
				s := newScene(sh, name)
				sc.play(s)
				all = append(all, Capture{
					Name: name, Args: sc.args,
					Mirror: s.mirror, Frames: s.captured(), Want: s.want, Or: s.or, Counts: s.counts,
				})
			}
		}
	}
	return all
}

// WritePcap writes the capture for other tools to read.
func (c Capture) WritePcap(w io.Writer) error {
	p := pcapgo.NewWriterNanos(w)
	link := layers.LinkTypeEthernet
	if c.Mirror.IP {
		link = layers.LinkTypeRaw
	}
	if err := p.WriteFileHeader(1<<18, link); err != nil {
		return err
	}
	for _, f := range c.Frames {
		if err := p.WritePacket(gopacket.CaptureInfo{
			Timestamp: time.Unix(0, 0).Add(f.At), CaptureLength: len(f.Bytes), Length: len(f.Bytes),
		}, f.Bytes); err != nil {
			return err
		}
	}
	return nil
}

// captured returns the frames that the mirror carries.
func (s *scene) captured() []Frame {
	if !s.oneWay {
		return s.frames
	}
	return slices.DeleteFunc(slices.Clone(s.frames), func(f Frame) bool { return f.Server })
}
