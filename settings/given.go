package settings

import (
	"slices"

	"github.com/jessevdk/go-flags"
)

// foundOut are the flags that check says itself: it finds their values out, or tries other ones.
var foundOut = []string{"capture", "iface", "encap", "mirror-port", "vxlan-port", "vni", "port", "to", "midstream"}

// ofService are those of foundOut that a list of services has in it or in the file.
var ofService = []string{"vni", "port", "to", "midstream"}

// Given is what a call of check came with, to call netmirror by it.
type Given struct {
	Args []string            // the flags of the call and of the environment, but those that check says itself
	File map[string][]string // the values of the latter that are in force from the settings file
}

// given sorts the flags by where their values are from. several says that check looks at a
// list of services, not at the selection of --vni, --port and --to; live, that the command is to
// capture on an interface, and does not read files.
func (o *origins) given(p *flags.Parser, several, live bool) Given {
	g := Given{File: make(map[string][]string)}
	for _, section := range sectionsOf(p) {
		for _, opt := range section.Options() {
			name := opt.LongName
			said := slices.Contains(foundOut, name) && !(several && slices.Contains(ofService, name))
			switch _, inFile := o.file[name]; {
			case !live && slices.Contains(ofCapture, name): // which replay does not take
			case o.called(opt) && !said:
				g.Args = append(g.Args, written(opt)...)
			case inFile && said && !o.called(opt):
				g.File[name] = texts(opt.Value())
			}
		}
	}
	return g
}

// called reports whether a flag's value is from the call or the environment.
func (o *origins) called(opt *flags.Option) bool {
	return opt.IsSet() && !opt.IsSetDefault() || variableIsSet(opt) || o.legacy[opt.LongName] != ""
}

// written is a flag as it is written in a call.
func written(opt *flags.Option) (args []string) {
	if on, ok := opt.Value().(bool); ok {
		if on {
			args = append(args, "--"+opt.LongName)
		}
		return args
	}
	for _, text := range texts(opt.Value()) {
		switch {
		case text == "": // as if it were not given
		case text[0] == '-': // which would be a flag if it stood alone
			args = append(args, "--"+opt.LongName+"="+text)
		default:
			args = append(args, "--"+opt.LongName, text)
		}
	}
	return args
}
