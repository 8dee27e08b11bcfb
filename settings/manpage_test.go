package settings

import (
	"bytes"
	"strings"
	"testing"
)

// TestManPage: every flag and every section is in it, no line is taken for a
// request of roff that there is not, and the same source makes the same page.
func TestManPage(t *testing.T) {
	c, err := parseCall("/usr/bin/netmirror", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := manPage(&page, c.parser, "86400"); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	for _, want := range []string{
		".TH NETMIRROR 1 \"1970-01-02\"", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS",
		"EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO", `\fB\-\-time\fR`, `\fB\-\-version\fR`,
		`\fBnetmirror replay\fR`, `\fB\-\-speed\fR`, ".TP\n.B 3\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	for _, opt := range fileSettings(t) {
		if !strings.Contains(text, "\\fB"+hyphens("--"+opt.LongName)+"\\fR") {
			t.Errorf("no --%s", opt.LongName)
		}
	}
	if strings.Contains(text, "help-man") {
		t.Error("it has a flag that is hidden")
	}
	for line := range strings.Lines(text) {
		request, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") &&
			!strings.Contains(" .TH .SH .SS .TP .PP .IP .B .I .BR .BI .RS .RE .nf .fi .in .nh .ad ", " "+request+" ") {
			t.Errorf("%q is taken for a request", line)
		}
	}
	if err := manPage(&page, c.parser, "today"); err == nil {
		t.Error("a date that is none is taken")
	}
}
