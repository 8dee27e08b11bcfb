// Bench runs netmirror's benchmarks and prints one table of their figures, with the limits
// (bars) that they must meet. The table marks a figure that misses its bar. The exit status is
// 1 only if a benchmark itself failed: a stream was altered, or something was lost without
// being counted.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"text/tabwriter"
)

// suite is benchmarks that are run by one call.
type suite struct {
	dir      string // package
	bench    string // go test's -bench
	time     string // its -benchtime
	runs     runs
	subjects string // -bench of the subjects among them that are netmirror, if there are any
}

// runs is how often a suite is run.
type runs byte

const (
	stageRuns    runs = iota // three times, without the binary
	comparedRuns             // options.count
	standingRuns             // half as often: they take long, or compare nothing
	busyRuns                 // options.busy
)

const netmirrors = "/./^(netmirror|2_workers|udp)$"

var suites = []suite{
	{"decap", ".", "100ms", stageRuns, ""},
	{"bench/replay", "Bulk|Connections|Acks", "1s", stageRuns, ""},
	{"e2e", "^BenchmarkCurl$", "1x", comparedRuns, netmirrors},
	{"e2e", "^BenchmarkVisits$", "1x", comparedRuns, netmirrors},
	{"e2e", "^BenchmarkRequests$", "1x", comparedRuns, netmirrors},
	{"e2e", "^BenchmarkStreams$", "1x", comparedRuns, netmirrors},
	{"e2e", "^BenchmarkIdleFlows$", "1x", standingRuns, ""},
	{"e2e", "^BenchmarkStart$", "1x", standingRuns, ""},
	{"e2e", "^BenchmarkSlowNeighbors$", "1x", standingRuns, ""},
	{"e2e", "^BenchmarkHostileMemory$", "1x", standingRuns, ""},
	{"e2e", "^BenchmarkBusy$", "1x", busyRuns, ""},
}

// options are the command line.
type options struct {
	binary, base, peer, raw string
	only                    *regexp.Regexp
	count, busy             int
	json                    bool
}

// times is how often a suite is run.
func (o options) times(r runs) int {
	return [...]int{stageRuns: 3, comparedRuns: o.count, standingRuns: (o.count + 1) / 2, busyRuns: o.busy}[r]
}

func main() {
	var o options
	flag.StringVar(&o.binary, "bin", "bin/netmirror", "the netmirror `binary` to measure")
	flag.StringVar(&o.base, "base", "", "another `binary` to measure beside it")
	flag.StringVar(&o.peer, "peer", "", "a vxlan-to-http to measure beside it, a `program` that is called with IFACE VNI PORT HOST:PORT")
	flag.StringVar(&o.raw, "raw", "bin", "`directory` for bench.txt, and bench-base.txt of the other binary, as benchstat reads them")
	only := flag.String("only", "", "run the suites that match the `regexp`, as in e2e/.*Requests")
	flag.IntVar(&o.count, "count", 2, "how `often` to run netmirror in turn with what it is compared with, and half as often the rest of what drives it; the table has the median")
	flag.IntVar(&o.busy, "busy", 10, "how `often` to run it beside busy loops; the table has the worst")
	flag.BoolVar(&o.json, "json", false, "print an object for each row, one a line")
	flag.Parse()
	var err error
	if o.only, err = regexp.Compile(*only); err == nil {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run prints the table. The error is that of the last suite that failed.
func run(o options) error {
	dir, err := os.MkdirTemp("", "netmirror-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.MkdirAll(o.raw, 0o755); err != nil {
		return err
	}
	own, err := newRunner(dir, o.binary, filepath.Join(o.raw, "bench.txt"))
	if err != nil {
		return err
	}
	defer own.out.Close()
	if o.peer != "" {
		if own.peer, err = program(o.peer); err != nil {
			return err
		}
	}
	other := &runner{} // without figures
	if o.base != "" {
		if other, err = newRunner(dir, o.base, filepath.Join(o.raw, "bench-base.txt")); err != nil {
			return err
		}
		defer other.out.Close()
	}
	failed := runSuites(o, own, other)
	if err := printResults(os.Stdout, tabulate(own.figures, other.figures, o.only.String() == ""), o.json); err != nil {
		return err
	}
	return failed
}

// runSuites returns the last failure. What base cannot do is none: that binary is
// not under test, and may be older than a flag.
func runSuites(o options, own, base *runner) (failed error) {
	for _, s := range suites {
		if !o.only.MatchString(s.dir + "/" + s.bench) {
			continue
		}
		// In turn, so that whatever else the machine does meets all.
		for range o.times(s.runs) {
			if err := own.run(s); err != nil {
				failed = err
			}
			if base.figures == nil || s.runs == stageRuns {
				continue
			}
			subjects := s
			subjects.bench += s.subjects
			if err := base.run(subjects); err != nil {
				fmt.Fprintln(os.Stderr, "bench: the base has no figures of some rows:", err)
			}
		}
	}
	return failed
}

// runner runs suites with one netmirror.
type runner struct {
	dir     string // for test binaries
	binary  string // absolute path of netmirror
	peer    string // that of vxlan-to-http; may be empty
	out     *os.File
	figures figures
}

func newRunner(dir, binary, out string) (*runner, error) {
	path, err := program(binary)
	if err != nil {
		return nil, err
	}
	f, err := os.Create(out)
	if err != nil {
		return nil, err
	}
	return &runner{dir: dir, binary: path, out: f, figures: make(figures)}, nil
}

// program is the absolute path of a file that is there.
func program(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	_, err = os.Stat(path)
	return path, err
}

// run runs a suite, and reads its figures as they come.
func (r *runner) run(s suite) error {
	test, err := build(r.dir, s.dir)
	if err != nil {
		return err
	}
	cmd := exec.Command(test, "-test.run=^$", "-test.bench="+s.bench, "-test.benchtime="+s.time,
		"-test.timeout=10m")
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "NETMIRROR_BIN="+r.binary, "NETMIRROR_PEER="+r.peer)
	if os.Getenv("NETMIRROR_HOSTILE") == "" {
		cmd.Env = append(cmd.Env, "NETMIRROR_HOSTILE=20s")
	}
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := r.figures.read(io.TeeReader(stdout, io.MultiWriter(os.Stderr, r.out)))
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s in %s: %w", s.bench, s.dir, err)
	}
	return readErr
}

// build compiles a package's tests, once.
func build(dir, pkg string) (path string, err error) {
	path = filepath.Join(dir, filepath.Base(pkg)+".test")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	cmd := exec.Command("go", "test", "-c", "-o", path, "./"+pkg)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build the tests of %s: %w", pkg, err)
	}
	return path, nil
}

func printResults(w io.Writer, results []result, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		for _, r := range results {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tFIGURE\tUNIT\tBAR\tRATIO\tTO\tNEW/BASE\tNEW/PEER\t")
	for _, r := range results {
		fmt.Fprintln(t, r.String())
	}
	return t.Flush()
}
