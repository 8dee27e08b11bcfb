package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/jessevdk/go-flags"
)

// errShown is returned where all that there was to do has been done: the help
// or the version was printed.
var errShown = errors.New("shown")

// parseOptions reads the flags, or the four words of the call that netmirror
// takes over from vxlan-to-http, the environment through getenv, and the file
// that one of them names.
func parseOptions(program string, args []string, getenv func(string) string, stdout io.Writer) (*options, error) {
	c, err := parseCall(program, args, nil)
	var sections []section
	if err == nil && c.options.Run.Config != "" && !c.options.Run.Version && !c.options.Run.ManPage {
		var file map[string][]string
		if file, sections, err = readConfig(c.options.Run.Config); err != nil {
			return nil, err
		}
		c, err = parseCall(program, args, file)
	}
	if err == nil {
		err = repeated(args)
	}
	var ferr *flags.Error
	switch {
	case errors.As(err, &ferr) && ferr.Type == flags.ErrHelp:
		if err := writeHelp(stdout, c.parser); err != nil {
			return nil, err
		}
		return nil, errShown
	case err != nil:
		return nil, fmt.Errorf("%s; see %s --help", plain(err), filepath.Base(program))
	case c.options.Run.Version:
		fmt.Fprintln(stdout, "netmirror", version())
		return nil, errShown
	case c.options.Run.ManPage:
		if err := manPage(stdout, c.parser, getenv("SOURCE_DATE_EPOCH")); err != nil {
			return nil, err
		}
		return nil, errShown
	}
	o := &c.options
	o.sections = sections
	if err := o.legacyEnvironment(c.parser, getenv); err != nil {
		return nil, err
	}
	if len(c.words) > 0 && o.checking != nil {
		return nil, fmt.Errorf("check takes no words; give the interface as --iface %s", append(o.Capture.Iface, c.words[0])[0])
	}
	if o.replaying != nil {
		o.files = c.words
	} else if len(c.words) > 0 {
		if err := o.legacyCall(c.words, len(args)); err != nil {
			return nil, err
		}
	}
	return o, o.check()
}

// call is a command line that was read.
type call struct {
	options options
	parser  *flags.Parser
	words   []string // that are neither flags nor the command
}

// parseCall reads a command line and the environment; file has what the
// configuration file has in place of the defaults, by flag.
func parseCall(program string, args []string, file map[string][]string) (*call, error) {
	c := new(call)
	p := flags.NewNamedParser(filepath.Base(program), flags.HelpFlag|flags.PassDoubleDash)
	c.parser = p
	p.SubcommandsOptional = true
	p.Usage = "--iface NAME --vni N --port PORT --to HOST:PORT [flags]\n  " +
		p.Name + " --iface NAME --forward VNI:PORT=HOST:PORT [flags]  (repeatable)\n  " +
		p.Name + " check --iface NAME [flags]  (looks at a mirror, forwards nothing)\n  " +
		p.Name + " replay --port PORT --to HOST:PORT [flags] FILE...  (plays files)\n  " +
		p.Name + " INTERFACE VNI PORT HOST:PORT  (as vxlan-to-http is called)"
	p.ShortDescription = "replays mirrored TCP connections against a shadow service"
	p.LongDescription = "Receives packets that a cloud mirrors inside VXLAN, rebuilds one service's TCP connections from them, " +
		"and plays each client's bytes, exactly, on a new connection to the shadow service."
	if _, err := p.AddGroup("netmirror", "", &c.options); err != nil {
		return nil, err
	}
	check := new(checkOptions)
	if _, err := p.AddCommand("check", "test the set-up without forwarding anything",
		"Looks at what the mirror brings for a while, tries the target, and says what is wrong and what to run. Only --iface is needed.", check); err != nil {
		return nil, err
	}
	replay := new(replayOptions)
	if _, err := p.AddCommand("replay", "play capture files in place of an interface",
		"Plays the connections in pcap and pcapng files, - for standard input. Only --port and --to are needed.", replay); err != nil {
		return nil, err
	}
	for flag, values := range file {
		p.FindOptionByLongName(flag).Default = values
	}
	var err error
	c.words, err = p.ParseArgs(args)
	switch {
	case p.Active == nil:
	case p.Active.Name == "check":
		c.options.checking = check
	default:
		c.options.replaying = replay
	}
	return c, err
}

// numberError is what strconv says of a number.
var numberError = regexp.MustCompile(`strconv\.\w+: parsing ("[^"]*"): (.*)`)

// plain is a parser's error on one line, without the names of Go types.
func plain(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if head, rest, ok := strings.Cut(text, " (expected "); ok {
		if _, tail, ok := strings.Cut(rest, "): "); ok {
			text = head + ": " + tail
		}
	}
	return numberError.ReplaceAllString(text, "$1: $2")
}

// legacyCall takes the call "INTERFACE VNI PORT HOST:PORT".
func (o *options) legacyCall(words []string, nargs int) error {
	if nargs != len(words) {
		return fmt.Errorf("flags and the call with four words do not mix (%q is no flag); use either --iface, --vni, --port and --to, or INTERFACE VNI PORT HOST:PORT", words[0])
	}
	if len(words) != 4 {
		return fmt.Errorf("%d words, need four: INTERFACE VNI PORT HOST:PORT", len(words))
	}
	o.Capture.Iface, o.Selection.VNI, o.Target.To = words[:1], nil, words[3:]
	return cmp.Or(o.Selection.VNI.UnmarshalFlag(words[1]), o.Selection.Port.UnmarshalFlag(words[2]))
}

// legacyEnvironment reads the variables of vxlan-to-http for the settings that
// neither a flag nor a variable of our own has set.
func (o *options) legacyEnvironment(p *flags.Parser, getenv func(string) string) error {
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
			return fmt.Errorf("environment variable %s is %q, need a number from 0", v.name, text)
		}
		*v.set = n
	}
	if opt := p.FindOptionByLongName("log-level"); opt.IsSetDefault() {
		if level, ok := rustLogLevel(getenv("RUST_LOG")); ok {
			o.Reporting.LogLevel = level
		}
	}
	return nil
}

// rustLogLevel reads RUST_LOG: "level", or directives "module=level" divided by
// commas, of which the one without a module, else the first, counts.
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

// repeated refuses a command line that gives a flag more than once that has one
// value: which one was meant cannot be known. The command line was read before
// without an error.
func repeated(args []string) error {
	p := flags.NewNamedParser("", flags.PassDoubleDash)
	p.SubcommandsOptional = true
	var lists []reflect.Value
	groups := reflect.TypeFor[options]()
	for i := range groups.NumField() {
		if groups.Field(i).Tag.Get("group") == "" {
			continue
		}
		list := reflect.New(listed(groups.Field(i).Type))
		lists = append(lists, list.Elem())
		if _, err := p.AddGroup(groups.Field(i).Name, "", list.Interface()); err != nil {
			return err
		}
	}
	for name, of := range map[string]reflect.Type{"check": reflect.TypeFor[checkOptions](), "replay": reflect.TypeFor[replayOptions]()} {
		list := reflect.New(listed(of))
		lists = append(lists, list.Elem())
		if _, err := p.AddCommand(name, "", "", list.Interface()); err != nil {
			return err
		}
	}
	if _, err := p.ParseArgs(args); err != nil {
		return err
	}
	for _, list := range lists {
		for i := range list.NumField() {
			if values := list.Field(i); values.Kind() == reflect.Slice && values.Len() > 1 {
				flag := list.Type().Field(i).Tag.Get("long")
				return fmt.Errorf("--%s is given %d times (%s); leave all but one out", flag, values.Len(), strings.Join(texts(values.Interface()), ", "))
			}
		}
	}
	return nil
}

// listed is the type of a struct of flags in which each flag that has one value is
// a list of all that are given.
func listed(of reflect.Type) reflect.Type {
	var fields []reflect.StructField
	for i := range of.NumField() {
		f := of.Field(i)
		tag := fmt.Sprintf("long:%q", f.Tag.Get("long"))
		if short := f.Tag.Get("short"); short != "" {
			tag += fmt.Sprintf(" short:%q", short)
		}
		list := reflect.TypeFor[[]string]()
		switch f.Type.Kind() {
		case reflect.Bool:
			list = reflect.TypeFor[[]bool]()
		case reflect.Slice: // may be given more than once; of a text, the last is kept
			list = reflect.TypeFor[string]()
		}
		fields = append(fields, reflect.StructField{Name: f.Name, Type: list, Tag: reflect.StructTag(tag)})
	}
	return reflect.StructOf(fields)
}
