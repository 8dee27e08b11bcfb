package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
)

// Second addresses of the two ends of the client link.
var (
	secondClient = netip.AddrFrom4([4]byte{10, 77, 1, 11})
	secondServer = netip.AddrFrom4([4]byte{10, 77, 1, 12})
)

// JoinFromClient gives Cli a second address, from which its MPTCP connections
// open a second subflow.
func (l *Lab) JoinFromClient() (netip.Addr, error) {
	return secondClient, l.addPath(l.Cli, secondClient, "subflow")
}

// JoinToServer gives Srv a second address. Srv announces it to its MPTCP clients, which
// then open a second subflow to it.
func (l *Lab) JoinToServer() (netip.Addr, error) {
	return secondServer, l.addPath(l.Srv, secondServer, "signal")
}

func (l *Lab) addPath(n *Namespace, a netip.Addr, flag string) error {
	link, err := n.link.LinkByName(ClientLink)
	if err != nil {
		return fmt.Errorf("lab: %s in %s: %w", ClientLink, n.label, err)
	}
	return errors.Join(
		n.addAddress(link, netip.PrefixFrom(a, 24)),
		l.Cli.ip("mptcp", "limits", "set", "subflows", "2", "add_addr_accepted", "2"),
		l.Srv.ip("mptcp", "limits", "set", "subflows", "2", "add_addr_accepted", "2"),
		n.ip("mptcp", "endpoint", "add", a.String(), "dev", ClientLink, flag),
	)
}

// ip runs ip(8) inside the namespace.
func (n *Namespace) ip(args ...string) error {
	var out []byte
	err := n.Do(func() (err error) {
		out, err = exec.Command("ip", args...).CombinedOutput()
		return err
	})
	if err != nil {
		return fmt.Errorf("lab: ip %v in %s: %w: %s", args, n.label, err, out)
	}
	return nil
}
