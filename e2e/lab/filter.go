package lab

import "fmt"

// RefuseNew makes the namespace's kernel answer new connections to a TCP port with a
// reset, as if nothing listened. Open connections go on.
func (n *Namespace) RefuseNew(port uint16) error { return n.filterNew(port, "reject with tcp reset") }

// SwallowNew makes the namespace's kernel drop the SYNs to a TCP port, as if a firewall
// dropped them or the host were down. Open connections go on.
func (n *Namespace) SwallowNew(port uint16) error { return n.filterNew(port, "drop") }

// AdmitNew ends RefuseNew and SwallowNew.
func (n *Namespace) AdmitNew() error { return n.nft("delete table inet admission\n") }

func (n *Namespace) filterNew(port uint16, verdict string) error {
	return n.nft(fmt.Sprintf(`table inet admission {
	chain arriving {
		type filter hook input priority 0
		tcp dport %d tcp flags & (syn | ack) == syn %s
	}
}
`, port, verdict))
}

// RefuseUnmarked makes the namespace's kernel refuse connections from inside it to a TCP
// port unless their packets have the mark (SO_MARK, socket(7)).
func (n *Namespace) RefuseUnmarked(port uint16, mark uint32) error {
	return n.nft(fmt.Sprintf(`table inet marks {
	chain leaving {
		type filter hook output priority 0
		tcp dport %d meta mark != %d reject with tcp reset
	}
}
`, port, mark))
}
