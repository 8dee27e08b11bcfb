package settings

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"netmirror/target"
)

// targets is the values of --to.
type targets []string

// UnmarshalFlag implements flags.Unmarshaler.
func (t *targets) UnmarshalFlag(s string) error {
	if s != "" {
		*t = append(*t, s)
	}
	return nil
}

// ipAddress is an IP address, or nothing.
type ipAddress string

// UnmarshalFlag implements flags.Unmarshaler.
func (a *ipAddress) UnmarshalFlag(s string) error {
	if s != "" {
		if _, err := netip.ParseAddr(s); err != nil {
			return fmt.Errorf("%q is not an IP address", s)
		}
	}
	*a = ipAddress(s)
	return nil
}

// tls is the flags of TLS.
func (t *Target) tls() target.TLSOptions {
	return target.TLSOptions{Name: t.TLSName, CA: t.TLSCA, Cert: t.TLSCert, Key: t.TLSKey, Insecure: t.TLSInsecure}
}

// TargetOptions says how the targets are reached that have no settings of their own.
func (o *Options) TargetOptions() target.Options {
	common := o.Common()
	return common.TargetOptions()
}

// TargetOptions says how the target of a service is reached.
func (s *ServiceOptions) TargetOptions() target.Options {
	o := target.Options{TLS: s.TLS, Mark: s.Mark}
	// The parser has seen to both.
	o.Header, _ = target.ParseHeader(s.ProxyProtocol)
	if s.SourceAddress != "" {
		o.Source, _ = netip.ParseAddr(string(s.SourceAddress))
	}
	return o
}

// checkTarget says what is wrong with the address of a target.
func checkTarget(to string) error {
	_, err := target.Parse(to)
	return err
}

// checkTarget says what is wrong with a target and how it is to be reached. It reads
// the files of TLS.
func (s *ServiceOptions) checkTarget(to string) error {
	_, err := target.New(to, s.TargetOptions())
	return err
}

// checkTLS says where options of TLS are given for targets of which none is reached by
// it, which nobody means. What it says is the end of a sentence.
func checkTLS(o target.TLSOptions, targets []string) error {
	overTLS := func(to string) bool {
		a, err := target.Parse(to)
		return err != nil || a.Network == target.TLS
	}
	if o == (target.TLSOptions{}) || slices.ContainsFunc(targets, overTLS) {
		return nil
	}
	return errors.New("there are TLS options, but no target uses TLS; write the target as tls://HOST:PORT, or leave them out")
}
