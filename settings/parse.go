package settings

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/jessevdk/go-flags"

	"netmirror/capfile"
)

// ErrShown is returned if there is nothing left to do: the help, the version or the manual page
// was printed.
var ErrShown = errors.New("shown")

// Call is how the program was called.
type Call struct {
	Program string              // as it was called, with or without its directory
	Args    []string            // behind it
	Environ []string            // all variables, as os.Environ gives them, to find what is mistyped
	Getenv  func(string) string // for the variables that are not those of flags
	Stdout  io.Writer           // where the help, the version and the manual page go
	Version string              // what --version says
}

// Parse reads the flags (or vxlan-to-http's four positional arguments), the environment, and
// the settings file if one of them names it. It returns complete and valid options, ErrShown,
// or an error of one line that tells the user what to write. With an error, the options are nil,
// or hold what was read, for the format of the log.
func Parse(call Call) (*Options, error) {
	program, args, getenv, stdout := call.Program, shownCall(call.Args), call.Getenv, call.Stdout
	c, err := parseCall(program, args, nil)
	var sections []section
	var from origins
	if err == nil && c.options.Run.Config != "" && !c.options.Run.Version && !c.options.Run.ManPage {
		from.config = c.options.Run.Config
		if from.file, sections, err = readConfig(from.config); err != nil {
			return &c.options, from.name(err, c.parser)
		}
		c, err = parseCall(program, args, from.file)
	}
	if err == nil {
		err = cmp.Or(unclear(args), emptySwitch(c.parser))
	}
	var ferr *flags.Error
	switch {
	case errors.As(err, &ferr) && ferr.Type == flags.ErrHelp:
		if err := checkHelp(call.Args, c.parser); err != nil {
			return nil, err
		}
		if err := writeHelp(stdout, c.parser); err != nil {
			return nil, err
		}
		return nil, ErrShown
	case err != nil:
		text, see := suggestFlag(withRange(plain(nameVariable(err, program, args)), ""), args, c.parser), "; see"
		if strings.HasSuffix(text, "?") {
			see = " See"
		}
		return nil, fmt.Errorf("%s%s %s --help", text, see, filepath.Base(program))
	case c.options.Run.Version:
		fmt.Fprintln(stdout, "netmirror", call.Version)
		return nil, ErrShown
	case c.options.Run.ManPage:
		if err := manPage(stdout, c.parser, getenv("SOURCE_DATE_EPOCH")); err != nil {
			return nil, err
		}
		return nil, ErrShown
	}
	c.options.sections = sections
	return c.complete(call, args, &from)
}

// complete fills in what the words of the call say, and the other programs' variables, and checks
// the whole. args are those of the call that were parsed.
func (c *parsed) complete(call Call, args []string, from *origins) (*Options, error) {
	o := &c.options
	if err := switchedByWord(args, c); err != nil {
		return o, err
	}
	o.UnknownVariables = unknownVariables(call.Environ, c.parser)
	var err error
	if from.legacy, err = o.legacyEnvironment(c.parser, call.Getenv); err != nil {
		return o, err
	}
	if len(c.words) > 0 && o.Check != nil {
		return o, noWords(o, c.words)
	}
	if o.Replay != nil {
		o.Files = c.words
		if err := checkFlagsOfFiles(c.parser, ofCapture, "replay"); err != nil {
			return o, err
		}
	} else if o.Check != nil && len(o.Check.Read) > 0 {
		if err := checkFlagsOfFiles(c.parser, ofLook, "check --read"); err != nil {
			return o, err
		}
	} else if len(c.words) > 0 {
		from.words = true
		if err := o.legacyCall(c, len(args)); err != nil {
			return o, err
		}
	}
	if err := o.check(); err != nil {
		return o, from.name(err, c.parser)
	}
	if o.Check != nil {
		o.Given = from.given(c.parser, len(o.Services) > 0, o.live())
	}
	return o, nil
}

// noWords says how to give check what was given as words.
func noWords(o *Options, words []string) error {
	const none = "check takes no words; "
	word := words[0]
	if len(words) == 4 {
		return fmt.Errorf(none+"give --iface %s --vni %s --port %s --to %s", word, words[1], words[2], words[3])
	}
	if info, err := os.Stat(word); word == capfile.Stdin || strings.Contains(word, ".pcap") || err == nil && info.Mode().IsRegular() {
		return fmt.Errorf(none+"give the capture file as --read %s", word)
	}
	return fmt.Errorf(none+"give the interface as --iface %s", append(o.Capture.Iface, word)[0])
}

// parsed is a command line that was read.
type parsed struct {
	options Options
	check   Check
	replay  Replay
	parser  *flags.Parser
	words   []string // that are neither flags nor the command
}

// parseCall reads a command line and the environment. file replaces the defaults of flags with
// the settings file's values.
func parseCall(program string, args []string, file map[string][]string) (*parsed, error) {
	c, err := newParser(program)
	if err != nil {
		return nil, err
	}
	for flag, values := range file {
		c.parser.FindOptionByLongName(flag).Default = values
	}
	c.words, err = c.parser.ParseArgs(args)
	switch active := c.parser.Active; {
	case active == nil:
	case active.Name == "check":
		c.options.Check = &c.check
	default:
		c.options.Replay = &c.replay
	}
	return c, err
}

// newParser makes a parser that has read nothing so far.
func newParser(program string) (*parsed, error) {
	c := new(parsed)
	p := flags.NewNamedParser(filepath.Base(program), flags.HelpFlag|flags.PassDoubleDash)
	c.parser = p
	p.SubcommandsOptional = true
	p.Usage = "--iface NAME --vni N --port PORT --to HOST:PORT [flags]\n  " +
		p.Name + " --iface NAME --forward VNI:PORT=HOST:PORT [flags]  (repeatable)\n  " +
		p.Name + " check --iface NAME [flags]  (looks at a mirror, forwards nothing)\n  " +
		p.Name + " replay --port PORT --to HOST:PORT [flags] FILE...  (plays files)\n  " +
		p.Name + " INTERFACE VNI PORT HOST:PORT  (as vxlan-to-http is called)\n  " +
		p.Name + " help [check|replay]\n  " +
		p.Name + " version"
	p.ShortDescription = "replays mirrored TCP connections against a shadow service"
	p.LongDescription = "Receives mirrored packets, in VXLAN or another encapsulation, rebuilds the TCP connections of services from them, " +
		"and plays exactly what each client sent on a new connection to a shadow service."
	if _, err := p.AddGroup("netmirror", "", &c.options); err != nil {
		return nil, err
	}
	if _, err := p.AddCommand("check", "test the setup without forwarding anything",
		"Watches the mirror for a while, tries the target, and says what is wrong and what to run. Only --iface is needed.", &c.check); err != nil {
		return nil, err
	}
	if _, err := p.AddCommand("replay", "play capture files in place of an interface",
		"Plays the connections in pcap and pcapng files, - for standard input. Only --port and --to are needed.", &c.replay); err != nil {
		return nil, err
	}
	return c, nil
}

// What the parser says of a switch with a value, and the standard library of a truth value, a
// number and a time that are none.
var (
	noSwitch    = regexp.MustCompile(`strconv\.ParseBool: parsing ("[^"]*"): invalid syntax`)
	numberError = regexp.MustCompile(`strconv\.\w+: parsing ("[^"]*"): (.*)`)
	belowNone   = regexp.MustCompile(`("-\d+"): invalid syntax`) // of a number that has no sign
	noNumber    = regexp.MustCompile(`("[^"]*"): invalid syntax`)
	noUnit      = regexp.MustCompile(`time: missing unit in duration "(-?[\d.]+)"`)
	valueOfNone = regexp.MustCompile("bool flag `(--[a-z-]+)' cannot have an argument")
	noTime      = regexp.MustCompile(`time: (?:invalid duration|missing unit in duration|unknown unit "[^"]*" in duration) ("[^"]*")`)
)

// plain is a parser's error on one line, without the names of Go types.
func plain(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if head, rest, ok := strings.Cut(text, " (expected "); ok {
		if _, tail, ok := strings.Cut(rest, "): "); ok {
			text = head + ": " + tail
		}
	}
	text = valueOfNone.ReplaceAllString(text, "$1"+takesNone)
	text = noSwitch.ReplaceAllString(text, "$1 is neither true nor false")
	text = numberError.ReplaceAllString(text, "$1: $2")
	text = belowNone.ReplaceAllString(text, "$1: value out of range")
	text = noNumber.ReplaceAllString(text, "$1 is not a whole number")
	text = noUnit.ReplaceAllString(text, `"$1" has no unit; write ${1}s, or ${1}ms`)
	return noTime.ReplaceAllString(text, "$1 is not a time like 500ms, 2s or 10m")
}
