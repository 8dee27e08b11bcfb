package settings

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jessevdk/go-flags"
)

// nearest is the word that a mistyped one was probably meant to be, "" where none is
// like it: one that two letters at most set apart, of a short word one, or the only
// one that begins with it.
func nearest(typed string, words []string) string {
	best, least := "", min(2, len(typed)/3)+1
	var begun []string
	for _, word := range words {
		// What differs more in length alone may be of any length.
		if apart := len(typed) - len(word); apart < least && -apart < least {
			if d := distance(typed, word); d < least {
				best, least = word, d
			}
		}
		if len(typed) > 2 && strings.HasPrefix(word, typed) {
			begun = append(begun, word)
		}
	}
	if best == "" && len(begun) == 1 {
		return begun[0]
	}
	return best
}

// distance is how many letters are to be changed, put in, left out or swapped with
// their neighbor to make b of a (optimal string alignment).
func distance(a, b string) int {
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}

// unknownFlag is what the parser says of a flag that there is not.
var unknownFlag = regexp.MustCompile("unknown flag `([^']+)'")

// suggestFlag adds the flag of args that was probably meant to the parser's error.
func suggestFlag(text string, args []string, p *flags.Parser) string {
	m := unknownFlag.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	for _, arg := range args { // one dash, of two
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if len(name) > 1 && name[:1] == m[1] && strings.HasPrefix(arg, "-") && p.FindOptionByLongName(name) != nil {
			return text + "; did you mean --" + name + "?"
		}
	}
	for _, c := range p.Commands() {
		if opt := c.FindOptionByLongName(m[1]); opt != nil && c != p.Active {
			return text + "; --" + m[1] + " belongs behind " + p.Name + " " + c.Name
		}
	}
	var names []string
	for _, section := range sectionsOf(p) {
		names = append(names, longNames(section.Options())...)
	}
	if p.Active != nil {
		names = append(names, longNames(p.Active.Options())...)
	}
	if name := nearest(m[1], append(names, "help")); name != "" {
		return text + "; did you mean --" + name + "?"
	}
	return text
}

// takesNone is what is said of a switch that was given a value.
const takesNone = " takes no value; give it alone to switch it on, or leave it out"

// switchedByWord refuses a word behind a switch that was meant to be its value, as the file and
// the environment have one; nil where there is none.
func switchedByWord(args []string, c *parsed) error {
	for i, arg := range args {
		name, isFlag := strings.CutPrefix(arg, "--")
		opt := c.parser.FindOptionByLongName(name)
		if !isFlag || opt == nil || i+1 == len(args) || !slices.Contains(c.words, args[i+1]) {
			continue
		}
		if _, isBool := opt.Value().(bool); isBool && slices.Contains([]string{"true", "false", "on", "off", "yes", "no", "1", "0"}, strings.ToLower(args[i+1])) {
			return fmt.Errorf("%s %s: %[1]s%[3]s", arg, args[i+1], takesNone)
		}
	}
	return nil
}

// notACommand says which command was probably meant by the first of words that are not
// the call with four words; nil for none.
func notACommand(word string, p *flags.Parser) error {
	switch word {
	case "version":
		return errors.New("version takes no words")
	case "help":
		return errors.New("help takes one word, the name of a command")
	}
	names := []string{"help", "version"}
	for _, c := range p.Commands() {
		names = append(names, c.Name)
	}
	if name := nearest(word, names); name != "" {
		return fmt.Errorf("no command is called %q; did you mean %s %s?", word, p.Name, name)
	}
	return nil
}

// shownCall is a call of the help or the version as a command, with the flag in its place.
func shownCall(args []string) []string {
	switch {
	case len(args) == 1 && args[0] == "version":
		return []string{"--version"}
	case len(args) == 0 || len(args) > 2 || args[0] != "help":
		return args
	}
	return append(slices.Clone(args[1:]), "--help")
}

// checkHelp refuses help for a command that there is not.
func checkHelp(args []string, p *flags.Parser) error {
	if len(args) != 2 || args[0] != "help" || p.Active != nil || slices.Contains([]string{"help", "version"}, args[1]) || strings.HasPrefix(args[1], "-") {
		return nil
	}
	var names []string
	for _, c := range p.Commands() {
		names = append(names, c.Name)
	}
	return fmt.Errorf("no command is called %q; there are %s", args[1], strings.Join(names, " and "))
}

// sectionsOf are the groups of flags, which are the sections of a file.
func sectionsOf(p *flags.Parser) (all []*flags.Group) {
	for _, g := range p.Groups() {
		all = append(all, g.Groups()...)
	}
	return all
}

// longNames are the names of flags that are no secret.
func longNames(options []*flags.Option) (names []string) {
	for _, opt := range options {
		if !opt.Hidden {
			names = append(names, opt.LongName)
		}
	}
	return names
}

// suggestKey is what to write in place of a key that its section has not: the same in
// the section that has it, or another one. p has the keys that could be meant.
func suggestKey(key string, p *flags.Parser) string {
	if all, err := fileParser(); err == nil {
		for _, section := range sectionsOf(all) {
			if slices.Contains(keysOf(section), key) {
				return "; it belongs in [" + section.ShortDescription + "]"
			}
		}
	}
	var names []string
	for _, section := range sectionsOf(p) {
		names = append(names, keysOf(section)...)
	}
	return suggested(nearest(key, names))
}

// keysOf are the keys that a section of a file may have.
func keysOf(section *flags.Group) (names []string) {
	for _, opt := range section.Options() {
		if opt.Field().Tag.Get("no-ini") == "" {
			names = append(names, opt.LongName)
		}
	}
	return names
}

// suggestSection is the section that a name which is none was probably meant to be.
func suggestSection(name string, p *flags.Parser) string {
	const service = "[Service NAME]"
	first, _, _ := strings.Cut(name, " ")
	if strings.HasPrefix(strings.ToLower(name), "service") || nearest(first, []string{"Service"}) != "" {
		return suggested(service)
	}
	var names, all []string
	for _, section := range sectionsOf(p) {
		names = append(names, section.ShortDescription)
		all = append(all, "["+section.ShortDescription+"]")
	}
	if name = nearest(name, names); name != "" {
		return suggested("[" + name + "]")
	}
	return "; there are " + strings.Join(all, ", ") + " and, for each service, " + service
}

func suggested(word string) string {
	if word == "" {
		return ""
	}
	return "; did you mean " + word + "?"
}
