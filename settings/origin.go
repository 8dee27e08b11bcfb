package settings

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/jessevdk/go-flags"
)

// flagError is an error in the value of a flag, wherever that came from.
type flagError struct {
	error
	flag string
}

func (e *flagError) Unwrap() error { return e.error }

// ofFlag says which flag's value an error is in.
func ofFlag(flag string, err error) error {
	if err == nil {
		return nil
	}
	return &flagError{err, flag}
}

// origins say where the values of flags outside the command line come from.
type origins struct {
	config string              // the file
	file   map[string][]string // what it sets, by flag
	legacy map[string]string   // variables of vxlan-to-http that are in force, by flag
	words  bool                // the call is the one with four words
}

// name adds to an error where a wrong value came from, if not from the call.
func (o *origins) name(err error, p *flags.Parser) error {
	var wrong *flagError
	if !errors.As(err, &wrong) || o.words && slices.Contains([]string{"iface", "vni", "port", "to"}, wrong.flag) {
		return err
	}
	opt := p.FindOptionByLongName(wrong.flag)
	switch _, inFile := o.file[wrong.flag]; {
	case opt == nil || !opt.IsSet() || !opt.IsSetDefault() && o.legacy[wrong.flag] == "":
		return err
	case o.legacy[wrong.flag] != "":
		return fromVariable(err, o.legacy[wrong.flag])
	case variableIsSet(opt):
		return fromVariable(err, opt.EnvDefaultKey)
	case inFile:
		return fmt.Errorf("%w%s (%s in [%s] of %s)", err, noComment(err.Error()), wrong.flag, sectionOf(opt, p), o.config)
	}
	return err
}

func fromVariable(err error, name string) error {
	return fmt.Errorf("%w (from the environment variable %s)", err, name)
}

func variableIsSet(opt *flags.Option) bool {
	_, set := os.LookupEnv(opt.EnvDefaultKey)
	return set && opt.EnvDefaultKey != ""
}

// emptySwitch refuses a switch whose variable is empty. The parser takes that for true, and
// whoever leaves a variable empty hardly means to switch something on.
func emptySwitch(p *flags.Parser) error {
	for _, section := range sectionsOf(p) {
		for _, opt := range section.Options() {
			if _, isBool := opt.Value().(bool); isBool && opt.IsSetDefault() && variableIsSet(opt) && os.Getenv(opt.EnvDefaultKey) == "" {
				return fromVariable(fmt.Errorf("--%s: an empty value is neither true nor false", opt.LongName), opt.EnvDefaultKey)
			}
		}
	}
	return nil
}

// sectionOf is the section of a file that a flag may be set in.
func sectionOf(opt *flags.Option, p *flags.Parser) string {
	for _, section := range sectionsOf(p) {
		if slices.Contains(section.Options(), opt) {
			return section.ShortDescription
		}
	}
	return ""
}

// wrongFlag is how the parser names the flag whose value it does not take.
var wrongFlag = regexp.MustCompile("(?:flag|option) `(?:-., )?--([a-z0-9-]+)'")

// nameVariable adds to a parser's error the variable that the wrong value came from. The
// parser reads the command line before the environment, so the command line is right if it
// parses alone.
func nameVariable(parseErr error, program string, args []string) error {
	var ferr *flags.Error
	if !errors.As(parseErr, &ferr) || ferr.Type != flags.ErrMarshal && ferr.Type != flags.ErrInvalidChoice {
		return parseErr
	}
	all := wrongFlag.FindAllStringSubmatch(parseErr.Error(), -1)
	c, err := newParser(program)
	if err != nil || len(all) == 0 {
		return parseErr
	}
	opt := c.parser.FindOptionByLongName(all[len(all)-1][1])
	if opt == nil || !variableIsSet(opt) {
		return parseErr
	}
	name := opt.EnvDefaultKey
	for _, section := range sectionsOf(c.parser) {
		for _, opt := range section.Options() {
			opt.EnvDefaultKey = ""
		}
	}
	if _, err := c.parser.ParseArgs(args); err != nil {
		return parseErr
	}
	return fromVariable(parseErr, name)
}

// kubernetes are the variables that Kubernetes sets in pods for a Service called netmirror,
// unless that is switched off. No user wrote them.
var kubernetes = regexp.MustCompile(`^NETMIRROR_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)$`)

// completionVariable has a shell's completion made; main reads it.
const completionVariable = "NETMIRROR_COMPLETION"

// unknownVariables are the variables with netmirror's prefix that belong to no flag, each with
// the name that was probably meant.
func unknownVariables(environ []string, p *flags.Parser) (all []string) {
	known := []string{completionVariable}
	for _, section := range sectionsOf(p) {
		for _, opt := range section.Options() {
			known = append(known, opt.EnvDefaultKey)
		}
	}
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, "NETMIRROR_") || slices.Contains(known, name) || kubernetes.MatchString(name) {
			continue
		}
		if call := commandFlag(name, p); call != "" {
			all = append(all, name+"; write "+call+" instead")
			continue
		}
		all = append(all, name+suggested(nearest(name, known)))
	}
	return all
}

// commandFlag is how to give the flag of a single command that a variable was meant to set, ""
// if there is none.
func commandFlag(variable string, p *flags.Parser) string {
	name := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(variable, "NETMIRROR_")), "_", "-")
	for _, c := range p.Commands() {
		if opt := c.FindOptionByLongName(name); opt != nil {
			return p.Name + " " + c.Name + " --" + name
		}
	}
	return ""
}
