package settings

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// What is mistyped is told of with what was probably meant, and what is like nothing
// is not.
func TestSuggestions(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want string // "": no suggestion
	}{
		{"two letters swapped", []string{"--ifcae=lo"}, "unknown flag `ifcae'; did you mean --iface? See"},
		{"a letter too few", []string{"--ifac=lo"}, "did you mean --iface?"},
		{"a letter too many", []string{"--gap-timeouts=1s"}, "did you mean --gap-timeout? See netmirror --help"},
		{"the beginning of one only", []string{"--verify=auto"}, "did you mean --verify-checksums?"},
		{"a command's own flag", []string{"check", "--tiem=1s"}, "did you mean --time?"},
		{"a flag of another command", []string{"replay", "--time=1s"}, "--time belongs behind netmirror check"},
		{"a flag of a command without it", []string{"--speed=1"}, "--speed belongs behind netmirror replay"},
		{"what is like nothing", []string{"--frobnicate"}, ""},
		{"a short one that is like many", []string{"--xy"}, ""},
		{"a command", []string{"chekc", "--iface=lo"}, `no command is called "chekc"; did you mean netmirror check?`},
		{"a command alone", []string{"reply"}, "did you mean netmirror replay?"},
		{"help", []string{"hepl"}, "did you mean netmirror help?"},
		{"version", []string{"verison"}, "did you mean netmirror version?"},
		{"no command", []string{"lo", "42"}, ""},
	} {
		_, err := parse(t, nil, tc.args...)
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q", tc.name, err, tc.want)
		}
		if tc.want == "" && (strings.Contains(err.Error(), "did you mean") || strings.Contains(err.Error(), "belongs")) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	// An interface may be called what it likes.
	if o, err := parse(t, nil, "chekc", "42", "80", "a:80"); err != nil || o.Capture.Iface[0] != "chekc" {
		t.Errorf("%v", err)
	}
}

// A switch has no value on the command line, though it has one in a file.
func TestSwitchWithAValue(t *testing.T) {
	const says = "--ready-drops takes no value; give it alone to switch it on, or leave it out"
	for _, args := range [][]string{
		append(slices.Clone(fourFlags), "--http=:1", "--ready-drops", "false"), append(slices.Clone(fourFlags), "--http=:1", "--ready-drops=true"),
		append(slices.Clone(replayFlags), "--http=:1", "--ready-drops", "on", "a.pcap"), {"check", "--iface=lo", "--ready-drops", "no"},
		append(slices.Clone(fourFlags), "--http=:1", "--ready-drops", "0"),
	} {
		if _, err := parse(t, nil, args...); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want one line with %q", args, err, says)
		}
	}
	if o, err := parse(t, nil, append(slices.Clone(replayFlags), "on", "--http-pprof", "--http=:1", "a.pcap")...); err != nil || len(o.Files) != 2 {
		t.Errorf("a file that is called on: %v", err)
	}
}

// In a file too, where the message has the key and the section as well.
func TestSuggestionsInAFile(t *testing.T) {
	for text, want := range map[string]string{
		"[Capture]\nifcae = eth0\n":                     ":2: unknown option: ifcae; did you mean iface?",
		"[Capture]\nport = 80\n":                        ":2: unknown option: port; it belongs in [Selection]",
		"[Service a]\ngap-timeout = 1s\n":               ":2: unknown option: gap-timeout; it belongs in [Fidelity]",
		"[Service a]\nsampel = 10%\n":                   ":2: unknown option: sampel; did you mean sample?",
		"[Selecton]\nport = 80\n":                       "no such section: `Selecton'; did you mean [Selection]?",
		"[Services a]\nport = 80\n":                     "did you mean [Service NAME]?",
		"[Servce a]\nport = 80\n":                       "did you mean [Service NAME]?",
		"[Zork]\nport = 80\n":                           "there are [Capture], [Selection], [Target], [Requests], [Fidelity], [Budgets], [Reporting], [Running] and, for each service, [Service NAME]",
		"[Capture]\niface = lo\n[[Service a]]\nvni=1\n": ":3: no such section: `[Service a]'; did you mean [Service NAME]?",
		"[Capture]\niface = lo\n[ Zork ]\nvni=1\n":      ":3: no such section: `Zork'",
		"[Service a]\nvni = 1\n = 4\n":                  ":3: = 4 has no key; write KEY = VALUE",
		"\xff\xfe[\x00C\x00":                            ":1: this is not plain text; save the file as text in UTF-8, or name another one",
		"[Capture]\n\x1b[2J\n":                          ":2: this is not plain text",
		"[Service a]\nport\n":                           ":2: port is no setting; write KEY = VALUE",
		"[Capture]\n\n[Selection]\nport = 99999\n":      ":4: port \"99999\" is not a number from 1 to 65535 (port in [Selection])",
		"[Service a]\nvni = x\n":                        "(vni in [Service a])",
		"[Capture\niface = eth0\n":                      ":1: [Capture does not end as a section does; write [SECTION], and a comment on a line of its own",
		"\n[Capture] # of packets\n":                    ":2: [Capture] # of packets does not end as a section does",
		"[]\niface = eth0\n":                            ":1: [] has no name; write [SECTION], one of those that netmirror --help lists",
		"[Capture]\nring-mib = 99999999999999999999\n":  `:2: "99999999999999999999" is out of range; need 1 to 2048 (ring-mib in [Capture])`,
		"[Service a]\nmark = 0x1ffffffff\n":             `:2: "0x1ffffffff" is out of range; need 0 to 4294967295 (mark in [Service a])`,
		"[Running]\nconfig = x\n":                       "unknown option: config",
	} {
		_, err := parse(t, nil, "--iface=lo", "--config", config(t, text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want one line with %q", text, err, want)
		}
	}
}

// The help is a command too, of which those who know other programs think first.
func TestHelpIsACommand(t *testing.T) {
	for _, words := range [][]string{{"help"}, {"help", "check"}, {"help", "replay"}} {
		var command, flag bytes.Buffer
		for out, args := range map[*bytes.Buffer][]string{&command: words, &flag: append(words[1:], "--help")} {
			if _, err := Parse(Call{Program: "netmirror", Args: args, Getenv: func(string) string { return "" }, Stdout: out}); err != ErrShown {
				t.Errorf("%q: %v", args, err)
			}
		}
		if command.Len() == 0 || command.String() != flag.String() {
			t.Errorf("%q: %q, want %q", words, &command, &flag)
		}
	}
	if o, err := parse(t, nil, "help", "42", "80", "a:80"); err != nil || o.Capture.Iface[0] != "help" {
		t.Errorf("an interface: %v", err)
	}
}

// So is the version, as with git and go.
func TestVersionIsACommand(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--version"}} {
		var out bytes.Buffer
		call := Call{Program: "netmirror", Args: args, Getenv: func(string) string { return "" }, Stdout: &out, Version: "v1.2.3"}
		if _, err := Parse(call); err != ErrShown || out.String() != "netmirror v1.2.3\n" {
			t.Errorf("%q: %q, %v", args, &out, err)
		}
	}
	if o, err := parse(t, nil, "version", "42", "80", "a:80"); err != nil || o.Capture.Iface[0] != "version" {
		t.Errorf("an interface: %v", err)
	}
}

// Each command's help asks for the flags that this command needs, and for no others.
func TestHelpAsksForWhatTheCommandNeeds(t *testing.T) {
	for command, want := range map[string]int{"": 4, "check": 1, "replay": 2} {
		var out bytes.Buffer
		args := append(strings.Fields(command), "--help")
		if _, err := Parse(Call{Program: "netmirror", Args: args, Getenv: func(string) string { return "" }, Stdout: &out}); err != ErrShown {
			t.Errorf("%q: %v", args, err)
		}
		if got := strings.Count(out.String(), "(required"); got != want {
			t.Errorf("%q: %d flags are required, want %d", args, got, want)
		}
	}
}
