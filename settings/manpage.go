package settings

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jessevdk/go-flags"
)

// manPage writes netmirror(1). The flags are the parser's, so that no flag is
// forgotten. go-flags has a page of its own, but it names a variable as if it
// were a default, leaves out the choices, and knows nothing of files, of the
// exit status and of examples.
func manPage(w io.Writer, p *flags.Parser, sourceDateEpoch string) error {
	date := time.Now()
	if sourceDateEpoch != "" { // that the same source makes the same page
		seconds, err := strconv.ParseInt(sourceDateEpoch, 10, 64)
		if err != nil {
			return fmt.Errorf("environment variable SOURCE_DATE_EPOCH is %q, need seconds since 1970", sourceDateEpoch)
		}
		date = time.Unix(seconds, 0)
	}
	fmt.Fprintf(w, ".TH NETMIRROR 1 %q netmirror %q\n", date.UTC().Format(time.DateOnly), "User Commands")
	fmt.Fprint(w, ".nh\n.ad l\n") // a word that was divided cannot be copied
	fmt.Fprintf(w, ".SH NAME\nnetmirror \\- %s\n", roff(p.ShortDescription))
	fmt.Fprint(w, manSynopsis)
	fmt.Fprintf(w, ".SH DESCRIPTION\n%s\n%s", roff(p.LongDescription), manDescription)
	fmt.Fprintln(w, ".SH COMMANDS")
	for _, c := range p.Commands() {
		fmt.Fprintf(w, ".TP\n.B %s\n%s\n", c.Name, roff(c.LongDescription))
		fmt.Fprintln(w, "It takes the flags below and these:\n.RS")
		for _, opt := range c.Options() {
			manOption(w, opt)
		}
		fmt.Fprintln(w, ".RE")
	}
	fmt.Fprint(w, manOptions)
	for _, group := range p.Groups() {
		for _, section := range group.Groups() {
			fmt.Fprintf(w, ".SS %s\n", section.ShortDescription)
			for _, opt := range section.Options() {
				manOption(w, opt)
			}
		}
	}
	fmt.Fprint(w, ".SS Help\n.TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nPrint all flags and exit.\n")
	fmt.Fprint(w, manRest)
	return nil
}

// manOption writes one flag.
func manOption(w io.Writer, opt *flags.Option) {
	if opt.Hidden {
		return
	}
	fmt.Fprintln(w, ".TP")
	if opt.ShortName != 0 {
		fmt.Fprintf(w, "\\fB\\-%c\\fR, ", opt.ShortName)
	}
	fmt.Fprintf(w, "\\fB%s\\fR", hyphens("--"+opt.LongName))
	if opt.ValueName != "" {
		fmt.Fprintf(w, "=\\fI%s\\fR", opt.ValueName)
	}
	fmt.Fprintf(w, "\n%s.\n", roff(strings.ToUpper(opt.Description[:1])+opt.Description[1:]))
	if len(opt.Choices) > 0 {
		fmt.Fprintf(w, "One of %s.\n", roff(strings.Join(opt.Choices, ", ")))
	}
	if len(opt.Default) > 0 {
		fmt.Fprintf(w, "Default: %s.\n", roff(strings.Join(opt.Default, ", ")))
	}
}

// flagInText is a flag in a sentence. It is copied from the page, so that its
// hyphens must not become dashes.
var flagInText = regexp.MustCompile(`--[a-z][a-z-]*`)

// roff is a text as roff wants it: flags in bold, and no line that begins as a
// request does.
func roff(s string) string {
	s = strings.ReplaceAll(s, `\`, `\e`)
	s = flagInText.ReplaceAllStringFunc(s, func(f string) string { return `\fB` + hyphens(f) + `\fR` })
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

func hyphens(s string) string { return strings.ReplaceAll(s, "-", `\-`) }

const manSynopsis = `.SH SYNOPSIS
.nf
\fBnetmirror\fR \fB\-\-iface\fR \fINAME\fR \fB\-\-vni\fR \fIN\fR \fB\-\-port\fR \fIPORT\fR \fB\-\-to\fR \fIHOST:PORT\fR [\fIflags\fR]
\fBnetmirror\fR \fB\-\-iface\fR \fINAME\fR \fB\-\-forward\fR \fIVNI:PORT=HOST:PORT\fR [\fIflags\fR]
\fBnetmirror\fR \fB\-\-config\fR \fIFILE\fR [\fIflags\fR]
\fBnetmirror check\fR \fB\-\-iface\fR \fINAME\fR [\fIflags\fR]
\fBnetmirror replay\fR \fB\-\-port\fR \fIPORT\fR \fB\-\-to\fR \fIHOST:PORT\fR [\fIflags\fR] \fIFILE\fR...
\fBnetmirror\fR \fIINTERFACE\fR \fIVNI\fR \fIPORT\fR \fIHOST:PORT\fR
\fBnetmirror help\fR [\fIcheck\fR|\fIreplay\fR]
.fi
`

const manDescription = `.PP
What arrives on a forwarded connection is exactly what the client sent, from a known starting point on, with nothing left
out, added, repeated or moved.
If the mirror loses a packet, that can become impossible.
The connection is then reset, the loss is counted by its reason, and the client's next HTTP/1 request begins a new connection.
What the target answers is read and discarded.
Nothing is ever sent to the production hosts.
.PP
The form with four words is that of vxlan-to-http. It takes no flags.
.PP
netmirror needs the capability
.BR CAP_NET_RAW ,
and no other; with
.B \-\-capture udp
and
.B replay
it needs none.
.PP
SIGTERM and SIGINT stop the capture. What was captured is delivered, for at most
.BR \-\-shutdown\-timeout .
A second signal, if it comes more than a second after the first, ends the process at once.
.PP
SIGHUP reads the settings file again.
New services start. Removed services end when what was captured of them is delivered. Unchanged services lose nothing.
If the target of a service has changed, its open connections keep the old one.
Settings other than those of services need a restart; a warning names them.
A file with an error changes nothing.
`

const manOptions = `.SH OPTIONS
\fITIME\fR is a number with a unit, such as 500ms, 10s or 5m.
The flags of a single command can only be given on the command line.
Every other flag but
.B \-\-version
and
.B \-\-help
can be set by a variable too (see ENVIRONMENT), and every one of those but
.B \-\-config
in a file (see FILES).
A flag wins over a variable, and a variable over the file.
`

const manRest = `.SH EXIT STATUS
.TP
.B 0
A signal ended the capture; with
.BR check ,
no service has a fault; with
.BR replay ,
all that the files hold was forwarded.
.TP
.B 1
The command line or the file of
.B \-\-config
is wrong, the capture could not begin or failed, or
.B check
found a fault; with
.BR replay ,
something in the files was not forwarded.
One line on stderr says what, or with
.B check
or
.B replay
the report on stdout.
.TP
.B 3
With
.BR replay ,
all that could be was forwarded, but the files do not hold all that the clients sent.
.SH ENVIRONMENT
.TP
.BI NETMIRROR_ NAME
sets the flag of that name, in capitals and with _ for each hyphen:
.B NETMIRROR_GAP_TIMEOUT=2s
is
.BR \-\-gap\-timeout=2s .
Several VNIs are divided by commas; a flag without a value is set by
.BR true .
.TP
.BR MAX_PENDING_PACKETS ", " MAX_RETRIES ", " NUM_THREADS ", " RUST_LOG
are those of vxlan-to-http. They stand for
.BR \-\-max\-pending\-packets ,
.BR \-\-max\-retries ,
.B \-\-threads
and
.BR \-\-log\-level ,
and win over the file only.
.SH FILES
.TP
.I /etc/netmirror/netmirror.conf
The settings of netmirror.service, which names the file with
.BR \-\-config ;
netmirror reads no file that it was not told to read.
The file has lines
.I name
=
.I value
under the names of the groups above in brackets, where
.I name
is a flag without its leading hyphens, and comments that begin with # or ;.
.IP
.nf
[Selection]
vni = 42
vni = 43
port = 8080
.fi
.IP
With several services, each has a section in place of
.BR vni ,
.B port
and
.BR to .
The section may also have these settings: on\-gap, midstream, dial\-timeout, max\-retries,
write\-timeout, linger\-timeout, proxy\-protocol, source\-address, mark, tls\-ca, tls\-name, tls\-cert, tls\-key, tls\-insecure,
sample, sample\-by, clients, exclude\-clients, max\-rate, mark\-requests, only\-path, only\-host.
.IP
.nf
[Service shop]
vni = 42
port = 8080,9000\-9010
to = staging.example:80
sample = 10%
.fi
.TP
.I /run/netmirror/
A directory of the service's user, which is there while the service runs, for a unix socket of
.BR \-\-http .
.SH EXAMPLES
Replay the connections to port 8080 that arrive with VNI 42 on eth0 against a staging service:
.PP
.in +4n
.nf
netmirror \-\-iface eth0 \-\-vni 42 \-\-port 8080 \-\-to staging.example:80
.fi
.in
.PP
Replay two services, the first to two targets:
.PP
.in +4n
.nf
netmirror \-\-iface eth0 \-\-forward 42:8080=staging:80 \-\-forward 42:8080=candidate:80 \-\-forward any:9000=other:9000
.fi
.in
.PP
Find out what arrives and whether the target answers, and forward nothing:
.PP
.in +4n
.nf
netmirror check \-\-iface eth0 \-\-to staging.example:80
.fi
.in
.PP
Play a capture file, as fast as the target takes it:
.PP
.in +4n
.nf
netmirror replay \-\-port 8080 \-\-to staging.example:80 \-\-speed max capture.pcapng
.fi
.in
.PP
Run it as the service of the package, and see what it says:
.PP
.in +4n
.nf
editor /etc/netmirror/netmirror.conf
systemctl enable \-\-now netmirror
journalctl \-u netmirror \-f
.fi
.in
.PP
Ask the service, where
.B http = /run/netmirror/http.sock
is set, whether it captures:
.PP
.in +4n
.nf
curl \-\-unix\-socket /run/netmirror/http.sock http://localhost/readyz
.fi
.in
.SH SEE ALSO
.BR systemd.service (5),
.BR capabilities (7),
.BR packet (7)
`
