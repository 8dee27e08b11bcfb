// Bench runs netmirror's benchmarks and prints one table of them, with the bars
// that they are held to. A figure that misses its bar is only said to; the exit
// status is 1 where a benchmark itself failed: a stream was altered, or
// something was lost without being counted.
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
	"strconv"
	"text/tabwriter"
)

// suite is benchmarks that are run by one call.
type suite struct {
	dir    string // package
	bench  string // go test's -bench
	time   string // its -benchtime
	count  int    // its -count; the table has the median
	binary bool   // they drive the netmirror binary
}

var suites = []suite{
	{"decap", ".", "200ms", 1, false},
	{"bench/replay", ".", "1s", 3, false},
	{"e2e", "^BenchmarkRequests$", "1x", 1, true},
	{"e2e", "^BenchmarkVisits$", "1x", 1, true},
	{"e2e", "^BenchmarkStreams$", "1x", 1, true},
	{"e2e", "^BenchmarkIdleFlows$", "1x", 1, true},
	{"e2e", "^BenchmarkStart$", "1x", 1, true},
	{"e2e", "^BenchmarkSlowNeighbours$", "1x", 1, true},
	{"e2e", "^BenchmarkHostileMemory$", "1x", 1, true},
}

// options are the command line.
type options struct {
	binary, base, raw string
	only              *regexp.Regexp
	count             int
	json              bool
}

func main() {
	var o options
	flag.StringVar(&o.binary, "bin", "bin/netmirror", "the netmirror `binary` to measure")
	flag.StringVar(&o.base, "base", "", "another `binary` to measure beside it")
	flag.StringVar(&o.raw, "raw", "bin", "`directory` for bench.txt, and bench-base.txt of the other binary, as benchstat reads them")
	only := flag.String("only", "", "run the suites that match the `regexp`, as in e2e/.*Requests")
	flag.IntVar(&o.count, "count", 1, "how often to run what drives the binary; the table has the median")
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
	other := &runner{} // without figures
	if o.base != "" {
		if other, err = newRunner(dir, o.base, filepath.Join(o.raw, "bench-base.txt")); err != nil {
			return err
		}
		defer other.out.Close()
	}
	var failed error
	for _, s := range suites {
		if !o.only.MatchString(s.dir + "/" + s.bench) {
			continue
		}
		if s.binary {
			s.count = o.count
		}
		if err := own.run(s); err != nil {
			failed = err
		}
		// In turn, so that whatever else the machine does meets both.
		if o.base != "" && s.binary {
			if err := other.run(s); err != nil {
				failed = err
			}
		}
	}
	if err := printResults(os.Stdout, tabulate(own.figures, other.figures, o.only.String() == ""), o.json); err != nil {
		return err
	}
	return failed
}

// runner runs suites with one netmirror.
type runner struct {
	dir     string // for test binaries
	binary  string // absolute path of netmirror
	out     *os.File
	figures figures
}

func newRunner(dir, binary, out string) (*runner, error) {
	path, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	f, err := os.Create(out)
	if err != nil {
		return nil, err
	}
	return &runner{dir: dir, binary: path, out: f, figures: make(figures)}, nil
}

// run runs a suite, and reads its figures as they come.
func (r *runner) run(s suite) error {
	test, err := build(r.dir, s.dir)
	if err != nil {
		return err
	}
	cmd := exec.Command(test, "-test.run=^$", "-test.bench="+s.bench, "-test.benchtime="+s.time,
		"-test.count="+strconv.Itoa(s.count), "-test.timeout=10m")
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "NETMIRROR_BIN="+r.binary)
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
	fmt.Fprintln(t, "NAME\tFIGURE\tUNIT\tBAR\tRATIO\tTO\tNEW/BASE\t")
	for _, r := range results {
		fmt.Fprintln(t, r.String())
	}
	return t.Flush()
}
