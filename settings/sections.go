package settings

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jessevdk/go-flags"

	"netmirror/service"
	"netmirror/target"
)

// section is a [Service NAME] of a file: what it leaves out is as the flags say.
type section struct {
	Name           string         `no-flag:"true"`
	line           int            // of the file, where it begins
	place          string         // FILE:LINE, for messages
	own            []Setting      // those that it gives, but for the service's own three
	VNI            vnis           `long:"vni"`
	Port           portList       `long:"port"`
	To             targets        `long:"to"`
	OnGap          *string        `long:"on-gap" choice:"reset" choice:"splice"`
	Midstream      *string        `long:"midstream" choice:"http" choice:"any" choice:"off"`
	DialTimeout    *time.Duration `long:"dial-timeout"`
	WriteTimeout   *time.Duration `long:"write-timeout"`
	LingerTimeout  *time.Duration `long:"linger-timeout"`
	MaxRetries     *int           `long:"max-retries"`
	ProxyProtocol  *string        `long:"proxy-protocol" choice:"off" choice:"v1" choice:"v2"`
	SourceAddress  *ipAddress     `long:"source-address"`
	Mark           *uint32        `long:"mark" base:"0"`
	TLSCA          *string        `long:"tls-ca"`
	TLSName        *string        `long:"tls-name"`
	TLSCert        *string        `long:"tls-cert"`
	TLSKey         *string        `long:"tls-key"`
	TLSInsecure    *bool          `long:"tls-insecure"`
	Sample         *string        `long:"sample"`
	SampleBy       *string        `long:"sample-by" choice:"connection" choice:"client"`
	Clients        networks       `long:"clients"`
	ExcludeClients networks       `long:"exclude-clients"`
	MaxRate        *int           `long:"max-rate"`
	MarkRequests   headerLines    `long:"mark-requests"`
	OnlyPath       paths          `long:"only-path"`
	OnlyHost       hosts          `long:"only-host"`
}

// splitSections takes the [Service NAME] sections out of a file's text, and leaves as
// many empty lines. The error begins with the number of the line.
func splitSections(text []byte) (rest []byte, all []section, err error) {
	var lines [][]byte // of the section at hand, behind as many empty ones as come before it
	name, n, begin := "", 0, 0
	end := func() error {
		if name == "" {
			return nil
		}
		s, err := readSection(name, bytes.Join(lines, nil))
		s.line = begin
		all = append(all, s)
		return err
	}
	for line := range bytes.Lines(text) {
		n++
		if header := strings.TrimSpace(string(line)); strings.HasPrefix(header, "[") {
			if err := end(); err != nil {
				return nil, nil, err
			}
			if name, err = sectionName(header); err != nil {
				return nil, nil, fmt.Errorf("%d: %w", n, err)
			}
			if i := slices.IndexFunc(all, func(s section) bool { return name != "" && s.Name == name }); i >= 0 {
				return nil, nil, fmt.Errorf("%d: [Service %s] is in line %d too; give one of them another name", n, name, all[i].line)
			}
			if begin = n; name != "" {
				lines = [][]byte{bytes.Repeat([]byte("\n"), n-1), []byte("[Service]\n")}
				rest = append(rest, '\n')
				continue
			}
		}
		if name == "" {
			rest = append(rest, line...)
			continue
		}
		rest = append(rest, '\n')
		lines = append(lines, line)
	}
	return rest, all, end()
}

// sectionName is NAME of [Service NAME], and "" of another section. As with the others, case and
// space within the brackets do not matter.
func sectionName(header string) (string, error) {
	const word = "Service"
	name := strings.TrimSpace(header[1:])
	if len(name) < len(word) || !strings.EqualFold(name[:len(word)], word) {
		return "", nil
	}
	if name = name[len(word):]; !strings.HasPrefix(name, " ") && !strings.HasPrefix(name, "\t") && !strings.HasPrefix(name, "]") {
		return "", nil
	}
	name, ok := strings.CutSuffix(name, "]")
	if !ok || strings.ContainsAny(name, "[]") {
		return "", fmt.Errorf("%s does not end as a section does; write [Service NAME], and a comment on a line of its own", header)
	}
	if name = strings.TrimSpace(name); name == "" {
		return "", fmt.Errorf("%s has no name; write [Service NAME]", header)
	}
	return name, service.CheckName(name)
}

// readSection reads the lines of a section. The error begins with the number of the
// line.
func readSection(name string, text []byte) (section, error) {
	s := section{Name: name}
	p := flags.NewNamedParser("", flags.None)
	all := struct {
		Service *section `group:"Service"`
	}{&s}
	if _, err := p.AddGroup("netmirror", "", &all); err != nil {
		return s, err
	}
	if err := checkLines(text, p); err != nil {
		return s, err
	}
	if err := flags.NewIniParser(p).Parse(bytes.NewReader(text)); err != nil {
		return s, errors.New(keyError(err, text, name, p))
	}
	for _, option := range p.Groups()[0].Groups()[0].Options() {
		if option.IsSet() && !slices.Contains([]string{"vni", "port", "to"}, option.LongName) {
			s.own = append(s.own, Setting{Service: name, Flag: option.LongName, Value: strings.Join(texts(option.Value()), ",")})
		}
	}
	return s, nil
}

// services are one for each target of the section.
func (s *section) services(common ServiceOptions) ([]Service, error) {
	wrong := func(format string, args ...any) error {
		err := fmt.Errorf(format, args...)
		return fmt.Errorf("%s: [Service %s]: %w%s", s.place, s.Name, err, noComment(err.Error()))
	}
	if err := missing([]lack{
		{len(s.VNI) == 0, "no VNI: give vni, or any"},
		{s.Port == "", "no port: give the service's original TCP port"},
		{len(s.To) == 0, "no target: give to as HOST:PORT"},
	}); err != nil {
		return nil, wrong("%w", err)
	}
	f := Service{Name: s.Name, Settings: s.over(common), Own: s.own, Place: s.place}
	f.VNIs, _ = service.ParseVNIs(strings.Join(s.VNI, ",")) // the parser has seen to both
	f.Ports, _ = service.ParsePorts(string(s.Port))
	var own target.TLSOptions
	s.overTLS(&own)
	if err := cmp.Or(f.Settings.check(), checkTLS(own, s.To)); err != nil {
		return nil, wrong("%v", err) // which is of no flag
	}
	if _, err := f.Settings.ParseSample(); s.Sample != nil && err != nil {
		return nil, wrong("--sample: %w", err)
	}
	var all []Service
	for _, to := range s.To {
		if err := checkTarget(to); err != nil {
			return nil, wrong("%w", err)
		}
		f.Target = to
		all = append(all, f)
	}
	return all, nil
}

// over is the settings with those of the section in their place.
func (s *section) over(c ServiceOptions) ServiceOptions {
	take(&c.OnGap, s.OnGap)
	take(&c.Midstream, s.Midstream)
	take(&c.DialTimeout, s.DialTimeout)
	take(&c.WriteTimeout, s.WriteTimeout)
	take(&c.LingerTimeout, s.LingerTimeout)
	take(&c.MaxRetries, s.MaxRetries)
	take(&c.ProxyProtocol, s.ProxyProtocol)
	take(&c.SourceAddress, s.SourceAddress)
	take(&c.Mark, s.Mark)
	s.overTLS(&c.TLS)
	take(&c.Sample, s.Sample)
	take(&c.SampleBy, s.SampleBy)
	take(&c.MaxRate, s.MaxRate)
	if s.Clients != nil {
		c.Clients = s.Clients
	}
	if s.ExcludeClients != nil {
		c.ExcludeClients = s.ExcludeClients
	}
	if s.MarkRequests != nil {
		c.Requests.Marks = s.MarkRequests
	}
	if s.OnlyPath != nil {
		c.Requests.Paths = s.OnlyPath
	}
	if s.OnlyHost != nil {
		c.Requests.Hosts = s.OnlyHost
	}
	return c
}

func (s *section) overTLS(o *target.TLSOptions) {
	take(&o.CA, s.TLSCA)
	take(&o.Name, s.TLSName)
	take(&o.Cert, s.TLSCert)
	take(&o.Key, s.TLSKey)
	take(&o.Insecure, s.TLSInsecure)
}

func take[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// check says what is wrong with the numbers and times of a section.
func (s *ServiceOptions) check() error { return checkBounds(s.numbers(), s.times()) }

// numbers and times are the settings that are bounded.
func (s *ServiceOptions) numbers() []number {
	return []number{
		{"max-retries", s.MaxRetries, 0, 30}, // the pause before each doubles
		{"max-rate", s.MaxRate, 0, service.MaxRate},
	}
}

// maxDialTimeout is more than anybody waits for, and can be added to any time.
const maxDialTimeout = 24 * time.Hour

func (s *ServiceOptions) times() []interval {
	return []interval{
		{"dial-timeout", s.DialTimeout, 1, maxDialTimeout},
		{"write-timeout", s.WriteTimeout, 1, always},
		{"linger-timeout", s.LingerTimeout, 1, always},
	}
}
