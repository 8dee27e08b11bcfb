package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/jessevdk/go-flags"
)

// readConfig reads a configuration file: the values in it by flag, and its services. A
// key may be there more than once where its flag may.
func readConfig(path string) (values map[string][]string, sections []section, err error) {
	var o Options
	p := flags.NewNamedParser("", flags.None)
	if _, err := p.AddGroup("netmirror", "", &o); err != nil {
		return nil, nil, err
	}
	text, err := readSmall(path)
	if err != nil {
		return nil, nil, fmt.Errorf("--config: %w", err)
	}
	if text, sections, err = splitSections(text); err == nil {
		err = checkLines(text, p)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("--config: %s:%w", path, err)
	}
	if err := flags.NewIniParser(p).Parse(bytes.NewReader(text)); err != nil {
		text := strings.Replace(plain(err), "could not find option group", "no such section:", 1)
		if !strings.HasPrefix(text, ":") { // a line number
			text = ": " + text
		}
		return nil, nil, fmt.Errorf("--config: %s%s", path, text)
	}
	values = make(map[string][]string)
	for _, g := range p.Groups() {
		for _, section := range g.Groups() {
			for _, opt := range section.Options() {
				if opt.IsSet() {
					values[opt.LongName] = texts(opt.Value())
				}
			}
		}
	}
	return values, sections, nil
}

// maxConfig is more than a file of settings needs, in bytes.
const maxConfig = 1 << 20

// readSmall reads an ordinary file, without the mark that some editors put before
// UTF-8.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(text) > maxConfig {
		err = errors.New(path + " is too long for a file of settings")
	}
	return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), err
}

// checkLines refuses what the parser takes in a way that nobody means: a key that
// is there twice though its flag has one value, of which the last would count, and
// one without a value though its flag is on or off, which would be on. The error
// begins with the number of the line.
func checkLines(text []byte, p *flags.Parser) error {
	n := 0
	first := make(map[string]int) // line of each key
	for line := range bytes.Lines(text) {
		n++
		name, value, ok := strings.Cut(string(line), "=")
		opt := optionOf(strings.TrimSpace(name), p)
		if !ok || opt == nil {
			continue
		}
		kind := opt.Field().Type.Kind()
		if kind == reflect.Bool && strings.TrimSpace(value) == "" {
			return fmt.Errorf("%d: no value; leave the line out for the default", n)
		}
		if at := first[opt.LongName]; at > 0 && kind != reflect.Slice {
			return fmt.Errorf("%d: %s is in line %d too; leave one of them out", n, opt.LongName, at)
		}
		first[opt.LongName] = n
	}
	return nil
}

// optionOf is the flag that a key in a file stands for, as the parser takes it,
// or nil.
func optionOf(name string, p *flags.Parser) *flags.Option {
	for _, g := range p.Groups() {
		for _, section := range g.Groups() {
			for _, opt := range section.Options() {
				if strings.EqualFold(name, opt.LongName) || strings.EqualFold(name, opt.Field().Name) || name != "" && name == string(opt.ShortName) {
					return opt
				}
			}
		}
	}
	return nil
}
