package settings

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/jessevdk/go-flags"
)

// legacyCall takes the call "INTERFACE VNI PORT HOST:PORT".
func (o *Options) legacyCall(c *parsed, nargs int) error {
	words := c.words
	if nargs != len(words) || len(words) != 4 {
		if err := notACommand(words[0], c.parser); err != nil {
			return err
		}
	}
	if nargs != len(words) {
		return fmt.Errorf("flags and the call with four words do not mix (%q is no flag); use either --iface, --vni, --port and --to, or INTERFACE VNI PORT HOST:PORT", words[0])
	}
	if len(words) != 4 {
		plural := "s"
		if len(words) == 1 {
			plural = ""
		}
		return fmt.Errorf("%d word%s, need four: INTERFACE VNI PORT HOST:PORT, or a command: check, replay or help; see netmirror --help", len(words), plural)
	}
	o.Capture.Iface, o.Selection.VNI, o.Target.To = words[:1], nil, words[3:]
	return cmp.Or(o.Selection.VNI.UnmarshalFlag(words[1]), o.Selection.Port.UnmarshalFlag(words[2]))
}

// legacyEnvironment reads the variables of vxlan-to-http for the settings that
// neither a flag nor a variable of our own has set. inForce are those that are used, by
// flag.
func (o *Options) legacyEnvironment(p *flags.Parser, getenv func(string) string) (inForce map[string]string, err error) {
	inForce = make(map[string]string)
	for _, v := range []struct {
		name, flag string
		set        *int
	}{
		{"MAX_PENDING_PACKETS", "max-pending-packets", &o.Fidelity.MaxPendingPackets},
		{"MAX_RETRIES", "max-retries", &o.Target.MaxRetries},
		{"NUM_THREADS", "threads", &o.Run.Threads},
	} {
		text := getenv(v.name)
		if opt := p.FindOptionByLongName(v.flag); text == "" || opt.IsSet() && !opt.IsSetDefault() {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("environment variable %s is %q, need a number from 0", v.name, text)
		}
		*v.set = n
		inForce[v.flag] = v.name
	}
	if opt := p.FindOptionByLongName("log-level"); opt.IsSetDefault() {
		if level, ok := rustLogLevel(getenv("RUST_LOG")); ok {
			o.Reporting.LogLevel = level
		}
	}
	return inForce, nil
}

// rustLogLevel reads RUST_LOG: "level", or a list with commas of "module=level". The directive
// without a module counts, or else the first.
func rustLogLevel(s string) (string, bool) {
	found := ""
	for d := range strings.SplitSeq(s, ",") {
		module, level, ok := strings.Cut(strings.ToLower(strings.TrimSpace(d)), "=")
		if !ok {
			level = module
		}
		if _, known := logLevels[level]; known && (found == "" || !ok) {
			found = level
		}
	}
	return found, found != ""
}
