package settings

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jessevdk/go-flags"
)

const (
	helpWidth  = 80 // columns, what every terminal has
	helpIndent = 8  // of what is said about a flag
)

// writeHelp writes what --help says: of the whole program, or of the command that was
// called. go-flags has a help of its own, but it puts the descriptions beside the
// longest flag, which leaves 9 columns for them.
func writeHelp(w io.Writer, p *flags.Parser) error {
	b := bufio.NewWriter(w)
	about := p.LongDescription
	if p.Active != nil {
		about = p.Active.LongDescription
	}
	fmt.Fprintf(b, "Usage:\n  %s %s\n\n", p.Name, p.Usage)
	helpText(b, 0, about)
	fmt.Fprintln(b)
	helpText(b, 0, "Flags can also be set in the environment, --gap-timeout as NETMIRROR_GAP_TIMEOUT, and in the file that --config names; the flags of a single command cannot.")
	for _, c := range p.Commands() {
		if p.Active == nil || p.Active == c {
			helpGroup(b, "Of "+c.Name+" alone", c.Options(), p.Active)
		}
	}
	for _, group := range p.Groups() {
		for _, section := range group.Groups() {
			helpGroup(b, section.ShortDescription, section.Options(), p.Active)
		}
	}
	fmt.Fprint(b, "\nHelp:\n  -h, --help\n        print this\n")
	return b.Flush()
}

// needs are the flags that a command cannot do without.
var needs = map[string][]string{"check": {"iface"}, "replay": {"port", "to"}}

// describe is what the help says about a flag: of the whole program, where active is
// nil, or of that command, which does not need all that the program needs.
func describe(opt *flags.Option, active *flags.Command) string {
	text := opt.Description
	if active != nil && !slices.Contains(needs[active.Name], opt.LongName) {
		text, _, _ = strings.Cut(text, " (required")
	}
	if len(opt.Default) > 0 {
		text += " (default: " + strings.Join(opt.Default, ", ") + ")"
	}
	return text
}

// helpGroup writes a group of flags under its title, as describe has them.
func helpGroup(w io.Writer, title string, options []*flags.Option, active *flags.Command) {
	fmt.Fprintf(w, "\n%s:\n", title)
	for _, opt := range options {
		if opt.Hidden || active != nil && active.Name == "replay" && slices.Contains(ofCapture, opt.LongName) { // which it refuses
			continue
		}
		short := "   "
		if opt.ShortName != 0 {
			short = fmt.Sprintf("-%c,", opt.ShortName)
		}
		value := ""
		if opt.ValueName != "" {
			value = "=" + opt.ValueName
		}
		if len(opt.Choices) > 0 { // as the shells' completion reads them
			value += "[" + strings.Join(opt.Choices, "|") + "]"
		}
		fmt.Fprintf(w, "  %s --%s%s\n", short, opt.LongName, value)
		helpText(w, helpIndent, describe(opt, active))
	}
}

// helpText writes a text in lines of helpWidth and less. No word is divided.
func helpText(w io.Writer, indent int, text string) {
	begin := strings.Repeat(" ", indent)
	line := begin
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == begin:
		case len(line)+1+len(word) > helpWidth:
			fmt.Fprintln(w, line)
			line = begin
		default:
			line += " "
		}
		line += word
	}
	fmt.Fprintln(w, line)
}
