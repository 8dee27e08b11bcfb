package settings

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/jessevdk/go-flags"

	"netmirror/userfile"
)

// maxConfig is more than a file of settings needs, in MiB.
const maxConfig = 1

// readConfig reads a configuration file: the values in it by flag, and its services. A
// key may be there more than once where its flag may.
func readConfig(path string) (values map[string][]string, sections []section, err error) {
	p, err := fileParser()
	if err != nil {
		return nil, nil, err
	}
	text, err := userfile.Read(path, "settings", maxConfig)
	if err != nil {
		return nil, nil, ofFlag("config", fmt.Errorf("--config: %w", err))
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // which some editors put before UTF-8
	if err = checkText(text); err == nil {
		text, sections, err = splitSections(text)
	}
	if err == nil {
		err = checkLines(text, p)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("--config: %s:%w", path, err)
	}
	if err := flags.NewIniParser(p).Parse(bytes.NewReader(text)); err != nil {
		return nil, nil, fmt.Errorf("--config: %s:%s", path, keyError(err, text, "", p))
	}
	values = make(map[string][]string)
	for _, section := range sectionsOf(p) {
		for _, opt := range section.Options() {
			if opt.IsSet() {
				values[opt.LongName] = texts(opt.Value())
			}
		}
	}
	for i := range sections {
		sections[i].place = fmt.Sprintf("%s:%d", path, sections[i].line)
	}
	return values, sections, nil
}

// fileParser has the sections and keys of a file, those of services aside.
func fileParser() (*flags.Parser, error) {
	p := flags.NewNamedParser("", flags.None)
	_, err := p.AddGroup("netmirror", "", new(Options))
	return p, err
}

// lineError and sectionError are what the parser of files says.
var (
	lineError    = regexp.MustCompile(`^:(\d+): (unknown option: )?(.*)`)
	sectionError = regexp.MustCompile("could not find option group `(.*)'")
)

// keyError is what the parser says of a file's text, from the number of the line on,
// with the key and the section that it says it of. service is the section's name where
// the text is that of a [Service NAME].
func keyError(err error, text []byte, service string, p *flags.Parser) string {
	says := plain(err)
	if m := sectionError.FindStringSubmatch(says); m != nil {
		return fmt.Sprintf("%d: no such section: `%s'%s", lineOf(text, m[1]), m[1], suggestSection(m[1], p))
	}
	m := lineError.FindStringSubmatch(says)
	if m == nil {
		return " " + says
	}
	n, _ := strconv.Atoi(m[1])
	if word, ok := strings.CutPrefix(m[3], "malformed key=value ("); ok {
		return fmt.Sprintf("%d: %s is no setting; write KEY = VALUE, or [SECTION]", n, strings.TrimSuffix(word, ")"))
	}
	switch m[3] {
	case "malformed section header":
		return fmt.Sprintf("%d: %s does not end as a section does; write [SECTION], and a comment on a line of its own", n, lineAt(text, n))
	case "empty section name":
		return fmt.Sprintf("%d: %s has no name; write [SECTION], one of those that netmirror --help lists, or [Service NAME]", n, lineAt(text, n))
	}
	key, section := keyAt(text, n)
	if service != "" {
		section += " " + service
	}
	if m[2] != "" {
		return fmt.Sprintf("%s%s (in [%s])", strings.TrimPrefix(says, ":"), suggestKey(m[3], p), section)
	}
	if key == "" {
		return strings.TrimPrefix(says, ":")
	}
	return fmt.Sprintf("%s%s (%s in [%s])", strings.TrimPrefix(withRange(says, key), ":"), noComment(says), key, section)
}

// lineOf is the number of the line in which a section begins.
func lineOf(text []byte, section string) int {
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if header := strings.TrimSpace(string(line)); strings.HasPrefix(header, "[") && strings.TrimSpace(strings.TrimSuffix(header[1:], "]")) == section {
			break
		}
	}
	return n
}

// behindValue is what may be meant as a comment in a value that is wrong.
var behindValue = regexp.MustCompile(`"[^"]*\s[#;][^"]*"`)

// noComment says that what stands behind a value is part of it, where that may be why it is
// wrong.
func noComment(says string) string {
	if behindValue.MatchString(says) {
		return "; a comment needs a line of its own"
	}
	return ""
}

// lineAt is a line of a file, without the space around it.
func lineAt(text []byte, n int) string {
	for line := range bytes.Lines(text) {
		if n--; n == 0 {
			return string(bytes.TrimSpace(line))
		}
	}
	return ""
}

// keyAt is the key in a line of a file, "" for none, and the section that it is in.
func keyAt(text []byte, n int) (key, section string) {
	for line := range bytes.Lines(text) {
		name, _, ok := strings.Cut(strings.TrimSpace(string(line)), "=")
		if strings.HasPrefix(name, "[") {
			section = strings.Trim(name, "[]")
		}
		if n--; n == 0 {
			if ok {
				key = strings.TrimSpace(name)
			}
			return key, section
		}
	}
	return "", section
}

// checkText refuses what is no text, such as a program or UTF-16. Messages quote lines, and control
// characters in them could do anything to a terminal. The error begins with the line number.
func checkText(text []byte) error {
	n := 0
	control := func(r rune) bool { return unicode.IsControl(r) && r != '\t' }
	for line := range bytes.Lines(text) {
		if n++; bytes.ContainsFunc(bytes.TrimSpace(line), control) {
			return fmt.Errorf("%d: this is not plain text; save the file as text in UTF-8, or name another one", n)
		}
	}
	return nil
}

// checkLines refuses lines that the parser accepts but nobody means: a repeated key whose flag has
// one value (the last would count), a key without a value whose flag is a switch (it would be on),
// and a value without a key. The error begins with the line number.
func checkLines(text []byte, p *flags.Parser) error {
	n := 0
	first := make(map[string]int) // line of each key
	for line := range bytes.Lines(text) {
		n++
		name, value, ok := strings.Cut(string(line), "=")
		if ok && strings.TrimSpace(name) == "" { // which the parser takes for a flag without a short name
			return fmt.Errorf("%d: %s has no key; write KEY = VALUE", n, strings.TrimSpace(string(line)))
		}
		opt := optionOf(strings.TrimSpace(name), p)
		if !ok || opt == nil {
			continue
		}
		of := opt.Field().Type
		if of.Kind() == reflect.Pointer { // of a setting that a section may leave out
			of = of.Elem()
		}
		kind := of.Kind()
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
	for _, section := range sectionsOf(p) {
		for _, opt := range section.Options() {
			if strings.EqualFold(name, opt.LongName) || strings.EqualFold(name, opt.Field().Name) || name != "" && name == string(opt.ShortName) {
				return opt
			}
		}
	}
	return nil
}
