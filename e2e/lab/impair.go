package lab

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
)

// limitRate limits what the clients send. The bucket has room for several super-frames;
// with a smaller one the kernel would split them.
func (l *Lab) limitRate() error {
	link, err := l.Cli.link.LinkByName(ClientLink)
	if err != nil {
		return fmt.Errorf("lab: %s: %w", ClientLink, err)
	}
	const bucket, queue = 256 << 10, 16 << 20 // bytes
	rate := l.opts.Rate / 8
	err = l.Cli.link.QdiscAdd(&netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{
			LinkIndex: link.Attrs().Index,
			Handle:    netlink.MakeHandle(1, 0),
			Parent:    netlink.HANDLE_ROOT,
		},
		Rate:   rate,
		Limit:  queue,
		Buffer: netlink.Xmittime(rate, bucket),
	})
	if err != nil {
		return fmt.Errorf("lab: limit the client link: %w", err)
	}
	return nil
}

// lateRun is how many successive frames go through the slow queue. The first finds it
// empty and passes at once; each further one waits for those before it.
const lateRun = 4

// lateRate is the rate of the slow queue in bit/s. A full frame takes 2.4 ms in it,
// whatever its size and the number of its copies. In that time some 100 others pass at
// DefaultRate.
func (o Options) lateRate() uint64 {
	const perFrame = 2400 * time.Microsecond
	frame := uint64(o.ClientMTU)
	if o.Offloads {
		frame = 64 << 10
	}
	if o.Twice {
		frame *= 2
	}
	return frame * 8 * uint64(time.Second/perFrame)
}

// impair makes the mirror lose frames, or delay a share of them. Both happen as the
// frames leave Srv, because a packet socket in Mon would still see what an ingress hook
// there drops.
func (l *Lab) impair() error {
	var rules []string
	if n := l.opts.LossPermille; n > 0 {
		rules = append(rules, fmt.Sprintf("numgen random mod 1000 < %d drop", n))
	}
	if n := l.opts.LossEvery; n > 0 {
		rules = append(rules, fmt.Sprintf("numgen inc mod %d offset 1 == %d drop", n, n))
	}
	if n := l.opts.LatePermille; n > 0 {
		if err := l.addSlowQueue(); err != nil {
			return err
		}
		rules = append(rules, fmt.Sprintf("numgen inc mod %d < %d meta priority set 1:20", lateRun*1000/n, lateRun))
	}
	if len(rules) == 0 {
		return nil
	}
	return l.Srv.nft(fmt.Sprintf(`table netdev lab {
	chain leaving {
		type filter hook egress device %q priority 0
		%s
	}
}
`, MirrorLink, strings.Join(rules, "\n\t\t")))
}

// addSlowQueue puts two queues on Srv's mirror link. Frames go through 1:10 unless
// their priority names 1:20.
func (l *Lab) addSlowQueue() error {
	link, err := l.Srv.link.LinkByName(MirrorLink)
	if err != nil {
		return fmt.Errorf("lab: %s: %w", MirrorLink, err)
	}
	root := netlink.NewHtb(netlink.QdiscAttrs{
		LinkIndex: link.Attrs().Index,
		Handle:    netlink.MakeHandle(1, 0),
		Parent:    netlink.HANDLE_ROOT,
	})
	root.Defcls = 0x10
	if err := l.Srv.link.QdiscAdd(root); err != nil {
		return fmt.Errorf("lab: htb on the mirror link: %w", err)
	}
	for _, c := range []struct {
		minor uint16
		rate  uint64
		burst uint32
	}{{0x10, 10_000_000_000, 1 << 20}, {0x20, l.opts.lateRate(), 1600}} {
		err := l.Srv.link.ClassAdd(netlink.NewHtbClass(
			netlink.ClassAttrs{
				LinkIndex: link.Attrs().Index,
				Parent:    netlink.MakeHandle(1, 0),
				Handle:    netlink.MakeHandle(1, c.minor),
			},
			netlink.HtbClassAttrs{Rate: c.rate, Ceil: c.rate, Buffer: c.burst, Cbuffer: c.burst, Quantum: 60_000},
		))
		if err != nil {
			return fmt.Errorf("lab: htb class on the mirror link: %w", err)
		}
	}
	return nil
}

// nft loads a ruleset inside the namespace with nft(8), because none of the lab's
// libraries speaks nftables.
func (n *Namespace) nft(rules string) error {
	path, err := exec.LookPath("nft")
	if err != nil {
		return fmt.Errorf("lab: loss and reordering need nft (Debian: apt install nftables): %w", err)
	}
	cmd := exec.Command(path, "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := n.Start(cmd); err != nil {
		return fmt.Errorf("lab: nft: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("lab: nft: %w: %s", err, out.Bytes())
	}
	return nil
}
