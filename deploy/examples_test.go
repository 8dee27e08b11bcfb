package deploy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"netmirror/bridge"
	"netmirror/outcome"
	"netmirror/status"
)

const (
	dashboardFile = "grafana/netmirror.json"
	rulesFile     = "prometheus/netmirror.rules.yml"
	rulesTestFile = "prometheus/netmirror.rules.test.yml"
	manifestFile  = "kubernetes/netmirror.yaml"
	userDataFile  = "terraform/user_data.sh.tftpl"
)

// texts are the files, by their path from here, that name flags and metrics.
func texts(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) == ".png" {
				return err
			}
			data, err := os.ReadFile(path)
			all[path] = string(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// served is what a netmirror serves at /metrics: the values of the labels that
// say a kind of thing, "" where there are none, by metric.
func served(t *testing.T) map[string]map[string]bool {
	t.Helper()
	b, err := bridge.New(bridge.Config{Target: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	monitor := status.NewMonitor(status.Config{Source: status.Source{
		Snapshot: func() status.Snapshot {
			return status.Snapshot{Time: time.Now(), Bridge: b.Stats(), Services: []status.Service{{Name: "42:8080"}}}
		},
	}})
	w := httptest.NewRecorder()
	status.NewMetrics().Handler(monitor).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	found := make(map[string]map[string]bool)
	sample := regexp.MustCompile(`^([a-z_0-9]+)(?:\{.*?(?:reason|outcome|result)="([^"]*)".*\})?`)
	for line := range strings.Lines(w.Body.String()) {
		if m := sample.FindStringSubmatch(line); m != nil {
			if found[m[1]] == nil {
				found[m[1]] = make(map[string]bool)
			}
			found[m[1]][m[2]] = true
		}
	}
	if len(found) < 60 {
		t.Fatalf("only %d metrics served:\n%s", len(found), w.Body)
	}
	return found
}

// bare is a histogram's name for one of its samples, else the name.
func bare(name string) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if short, ok := strings.CutSuffix(name, suffix); ok && strings.HasSuffix(short, "_seconds") {
			return short
		}
	}
	return name
}

// TestMetricNames sees that every metric that is written of is one that
// netmirror serves.
func TestMetricNames(t *testing.T) {
	names := make(map[string]bool)
	for name := range served(t) {
		names[name], names[bare(name)] = true, true
	}
	word := regexp.MustCompile(`\bnetmirror_[a-z][a-z0-9_]*`)
	for path, text := range texts(t, "grafana", "prometheus", "kubernetes", "terraform", "../docs") {
		for _, name := range word.FindAllString(text, -1) {
			if !names[name] {
				t.Errorf("%s: netmirror has no metric %s", path, name)
			}
		}
	}
}

// TestExpressions looks into the expressions of the dashboard and of the rules:
// every metric of them is served, and every reason and outcome is one of that
// metric's.
func TestExpressions(t *testing.T) {
	have := served(t)
	metric := regexp.MustCompile(`\b((?:netmirror|go|process)_[a-z0-9_]+)(\{[^}]*\})?`)
	matcher := regexp.MustCompile(`\b(?:reason|outcome|result)(?:=|!=|=~|!~)"([^"]*)"`)
	all := expressions(t)
	if len(all) < 60 {
		t.Fatalf("only %d expressions found", len(all))
	}
	for where, expr := range all {
		for _, m := range metric.FindAllStringSubmatch(expr, -1) {
			values, ok := have[m[1]]
			if !ok {
				t.Errorf("%s: nothing serves %s: %s", where, m[1], expr)
			}
			for _, v := range matcher.FindAllStringSubmatch(m[2], -1) {
				for value := range strings.SplitSeq(v[1], "|") {
					if !values[value] {
						t.Errorf("%s: %s has no %s: %s", where, m[1], value, expr)
					}
				}
			}
		}
	}
}

// TestLossesAreThoseOfNetmirror sees that expressions that leave out what is harmless
// leave out all of it, and nothing else.
func TestLossesAreThoseOfNetmirror(t *testing.T) {
	harmless := map[string]string{}
	for d := range outcome.NumDrops {
		if d.Harmless() {
			harmless["reason"] += "|" + d.String()
		}
	}
	for e := range outcome.NumStreamEnds {
		if e.Harmless() {
			harmless["outcome"] += "|" + e.String()
		}
	}
	found := 0
	for where, expr := range expressions(t) {
		for _, m := range regexp.MustCompile(`\b(reason|outcome)!~"([^"]*)"`).FindAllStringSubmatch(expr, -1) {
			found++
			if want := harmless[m[1]][1:]; m[2] != want {
				t.Errorf("%s leaves out %s, want %s", where, m[2], want)
			}
		}
	}
	if found < 3 {
		t.Errorf("only %d expressions leave something out", found)
	}
}

// expressions are all of the dashboard and of the rules, by where they are.
func expressions(t *testing.T) map[string]string {
	all := make(map[string]string)
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			all[fmt.Sprintf("dashboard, %s, %s", p.Title, target.RefID)] = target.Expr
		}
	}
	for _, r := range readRules(t) {
		all["rule "+r.Alert] = r.Expr
	}
	return all
}

type dashboard struct {
	UID           string
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []struct {
		ID         int
		Type       string
		Title      string
		Repeat     string
		Datasource struct{ UID string }
		GridPos    struct{ X, Y, W, H int }
		Targets    []struct{ Expr, RefID string }
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	data, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	if d.UID == "" || d.SchemaVersion < 39 {
		t.Errorf("uid %q, schemaVersion %d", d.UID, d.SchemaVersion)
	}
	if v := d.Templating.List; len(v) == 0 || v[0].Name != "datasource" || v[0].Type != "datasource" {
		t.Errorf("the first variable is not the data source: %v", v)
	}
	ids, cells := make(map[int]bool), make(map[[2]int]string)
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: id %d is there twice", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if cells[at] != "" || at[0] >= 24 {
					t.Errorf("%s lies on %q or beside the page", p.Title, cells[at])
				}
				cells[at] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%s: data source %q, %d targets", p.Title, p.Datasource.UID, len(p.Targets))
		}
	}
}

// TestDashboardHasARowForEachService: the row is repeated for each that is chosen, its
// panels are of that one, and no other panel is.
func TestDashboardHasARowForEachService(t *testing.T) {
	d := readDashboard(t)
	offered := ""
	for _, v := range d.Templating.List {
		if v.Name == "service" {
			offered = v.Definition
		}
	}
	if want := `label_values(netmirror_service_streams_total{job=~"$job", instance=~"$instance"}, service)`; offered != want {
		t.Errorf("the services are %q, want %q", offered, want)
	}
	in, of := "", 0
	for _, p := range d.Panels {
		if p.Type == "row" {
			in = p.Repeat
		}
		for _, target := range p.Targets {
			chosen := strings.Contains(target.Expr, `service=~"$service"`)
			if chosen != (in == "service") || chosen != strings.Contains(target.Expr, "netmirror_service_") {
				t.Errorf("%s: in a row of %q: %s", p.Title, in, target.Expr)
			}
			if chosen {
				of++
			}
		}
	}
	if of < 6 {
		t.Errorf("only %d expressions are of a service", of)
	}
}

type alert struct {
	Alert       string
	Expr        string
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func readRules(t *testing.T) []alert {
	t.Helper()
	data, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Groups []struct {
			Name  string
			Rules []alert
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil {
		t.Fatalf("%s: %v", rulesFile, err)
	}
	var all []alert
	for _, g := range f.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// TestRules sees that every alert says what to do, in the words of the problem
// that it is about, and that there is one for every loss.
func TestRules(t *testing.T) {
	all, missing := problems(), problems()
	for _, a := range readRules(t) {
		summary, description := a.Annotations["summary"], a.Annotations["description"]
		if !strings.Contains(summary, "{{ $labels.instance }}") || description == "" {
			t.Errorf("%s: summary %q, description %q", a.Alert, summary, description)
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) {
			t.Errorf("%s: severity %q", a.Alert, a.Labels["severity"])
		}
		id, about := a.Labels["problem"]
		if !about {
			continue
		}
		p, ok := all[id]
		if !ok {
			t.Errorf("%s: there is no problem %q", a.Alert, id)
		}
		delete(missing, id)
		if !strings.Contains(description, p.Remedy()) {
			t.Errorf("%s: the description is\n%s\nand lacks the remedy of %s:\n%s", a.Alert, description, id, p.Remedy())
		}
	}
	for id, p := range missing {
		if p.Severity() == outcome.Loss && id != "idle" { // which may be wanted
			t.Errorf("no alert has the problem %s", id)
		}
	}
	test, err := os.ReadFile(rulesTestFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range readRules(t) {
		if !strings.Contains(string(test), `{alertname="`+a.Alert+`"}`) {
			t.Errorf("%s does not make %s fire", rulesTestFile, a.Alert)
		}
	}
}

// problems are all that there are, by name.
func problems() map[string]outcome.Problem {
	all := make(map[string]outcome.Problem)
	for p := range outcome.NumProblems {
		all[p.String()] = p
	}
	return all
}

// constant is the value of a string, or of several with + between them.
func constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, e.Kind == token.STRING && err == nil
	case *ast.BinaryExpr:
		a, ok := constant(e.X)
		b, ok2 := constant(e.Y)
		return a + b, ok && ok2 && e.Op == token.ADD
	}
	return "", false
}

// TestPromtool has Prometheus' own tool read the rules and run their tests.
func TestPromtool(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no promtool: sh e2e/deps.sh installs it")
		}
		t.Skip("no promtool: sh e2e/deps.sh installs it")
	}
	for _, args := range [][]string{{"check", "rules", rulesFile}, {"test", "rules", rulesTestFile}} {
		if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// flags are the long names and the environment variables of settings/options.go, and the
// sections of the configuration file with the keys that they have.
type flagNames struct {
	long, env map[string]bool
	sections  map[string]map[string]bool
}

func readFlags(t *testing.T) flagNames {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../settings/options.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := flagNames{map[string]bool{"help": true}, make(map[string]bool), make(map[string]map[string]bool)}
	groups := make(map[string]string) // the struct types by section
	keys := make(map[string][]string) // by struct type
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		of, ok := spec.Type.(*ast.StructType)
		if !ok {
			return false
		}
		for _, field := range of.Fields.List {
			if field.Tag == nil {
				continue
			}
			text, _ := strconv.Unquote(field.Tag.Value)
			tag := reflect.StructTag(text)
			if group, ok := tag.Lookup("group"); ok {
				groups[group] = field.Type.(*ast.Ident).Name
			}
			if long, ok := tag.Lookup("long"); ok {
				names.long[long] = true
				if tag.Get("no-ini") == "" {
					keys[spec.Name.Name] = append(keys[spec.Name.Name], long)
				}
			}
			if env, ok := tag.Lookup("env"); ok {
				names.env[env] = true
			}
		}
		return false
	})
	for section, of := range groups {
		names.sections[section] = make(map[string]bool)
		for _, key := range keys[of] {
			names.sections[section][key] = true
		}
	}
	if len(names.env) < 30 || len(names.long) <= len(names.env) || len(names.sections) < 7 {
		t.Fatalf("found only %d flags, %d variables, %d sections in settings/options.go", len(names.long), len(names.env), len(names.sections))
	}
	return names
}

var (
	// program is a program whose flags are written of: netmirror, or another
	// one, whose flags are none of ours.
	program = regexp.MustCompile(`\b(netmirror|apt|apt-get|aws|curl|docker|dnf|dpkg|ethtool|gcloud|git|go|gofmt|hclfmt|ip|journalctl|kubectl|kustomize|make|mktemp|nft|nfpm|perf|podman|promtool|rpm|runc|setpriv|sha256sum|ss|sysctl|systemctl|systemd-analyze|tc|tcpdump|terraform|useradd)\b`)
	// others are flags that are written of with no program named before them.
	others   = []string{"cap-add", "cap-drop", "network", "publish", "read-only", "security-opt", "user"}
	longFlag = regexp.MustCompile(`(^|[^-\w])--([a-z][a-z-]*[a-z])`)
	variable = regexp.MustCompile(`\bNETMIRROR_[A-Z][A-Z_]*[A-Z]\b`)
	goOn     = regexp.MustCompile(`\\\n\s*`)
)

// TestFlags sees that every flag and every variable that is written of exists. A
// flag is another program's where that program is the last one named before it
// on the line.
func TestFlags(t *testing.T) {
	names := readFlags(t)
	for path, text := range texts(t, "grafana", "prometheus", "kubernetes", "kustomize", "terraform", "systemd", "package", "../docs", "../README.md") {
		for line := range strings.Lines(goOn.ReplaceAllString(text, " ")) {
			for _, m := range longFlag.FindAllStringSubmatchIndex(line, -1) {
				programs := program.FindAllString(line[:m[0]], -1)
				if n := len(programs); n > 0 && (programs[n-1] != "netmirror" || slices.Contains([]string{"aws", "gcloud"}, programs[0])) { // to which it is a name
					continue
				}
				if flag := line[m[4]:m[5]]; !names.long[flag] && !slices.Contains(others, flag) {
					t.Errorf("%s: netmirror has no --%s: %s", path, flag, strings.TrimSpace(line))
				}
			}
		}
		for _, name := range variable.FindAllString(text, -1) {
			if !names.env[name] {
				t.Errorf("%s: netmirror reads no variable %s", path, name)
			}
		}
	}
}

// manifest are the documents of the Kubernetes manifest.
func manifest(t *testing.T) []map[string]any {
	t.Helper()
	data, err := os.ReadFile(manifestFile)
	if err != nil {
		t.Fatal(err)
	}
	return documents(t, data)
}

// documents are those of a stream of YAML.
func documents(t *testing.T, data []byte) (all []map[string]any) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader(data)) // which takes no key twice
	for {
		var m map[string]any
		err := d.Decode(&m)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
}

// ofKind is the first document of a kind.
func ofKind(t *testing.T, all []map[string]any, kind string) map[string]any {
	t.Helper()
	for _, d := range all {
		if d["kind"] == kind {
			return d
		}
	}
	t.Fatalf("there is no %s", kind)
	return nil
}

// at goes down into a document by keys and numbers.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok || m[step] == nil {
				t.Fatalf("nothing at %v", path)
			}
			v = m[step]
		case int:
			list, ok := v.([]any)
			if !ok || len(list) <= step {
				t.Fatalf("nothing at %v", path)
			}
			v = list[step]
		}
	}
	return v
}

// TestManifest sees that what depends on each other fits: the grace period and
// the memory to the settings, the ports and the probes to --http.
func TestManifest(t *testing.T) {
	pod := at(t, ofKind(t, manifest(t), "Deployment"), "spec", "template", "spec").(map[string]any)
	container := at(t, pod, "containers", 0)
	env := make(map[string]string)
	for _, e := range at(t, container, "env").([]any) {
		value, ok := at(t, e, "value").(string)
		if !ok {
			t.Errorf("the value of %v is no string, which Kubernetes refuses", at(t, e, "name"))
		}
		env[at(t, e, "name").(string)] = value
	}
	for _, name := range []string{"VNI", "PORT", "TO"} {
		if env["NETMIRROR_"+name] == "" {
			t.Errorf("NETMIRROR_%s is not set", name)
		}
	}
	context := at(t, container, "securityContext").(map[string]any)
	if got := fmt.Sprint(context["capabilities"]); env["NETMIRROR_CAPTURE"] != "udp" || got != "map[drop:[ALL]]" {
		t.Errorf("capture %q with the capabilities %s", env["NETMIRROR_CAPTURE"], got)
	}
	if at(t, pod, "securityContext", "runAsNonRoot") != true || at(t, pod, "securityContext", "runAsUser") == 0 || context["allowPrivilegeEscalation"] != false {
		t.Errorf("it may become root: %v", context)
	}
	if context["readOnlyRootFilesystem"] != true || context["privileged"] != nil || context["runAsUser"] != nil {
		t.Errorf("the container has more than it needs: %v", context)
	}
	for _, key := range []string{"hostNetwork", "hostPID", "hostIPC", "volumes"} {
		if pod[key] != nil {
			t.Errorf("the pod has %s", key)
		}
	}
	if env["NETMIRROR_ENCAP"] != "vxlan" { // whose port is the only one that is let in
		t.Errorf("NETMIRROR_ENCAP is %q", env["NETMIRROR_ENCAP"])
	}
	stop, err := time.ParseDuration(env["NETMIRROR_SHUTDOWN_TIMEOUT"])
	if grace := time.Duration(at(t, pod, "terminationGracePeriodSeconds").(int)) * time.Second; err != nil || grace < stop+5*time.Second {
		t.Errorf("%v to stop in, and NETMIRROR_SHUTDOWN_TIMEOUT is %v, %v", grace, stop, err)
	}
	mib := func(name string) int {
		n, err := strconv.Atoi(env[name])
		if err != nil {
			t.Error(err)
		}
		return n
	}
	need := mib("NETMIRROR_TOTAL_MIB") + mib("NETMIRROR_RING_MIB") + 80
	if limit := at(t, container, "resources", "limits", "memory"); limit != "1Gi" || need > 1024*9/10 {
		t.Errorf("netmirror may take %d MiB, and the limit is %v", need, limit)
	}
	host, port, _ := strings.Cut(env["NETMIRROR_HTTP"], ":")
	if host != "0.0.0.0" {
		t.Errorf("no probe reaches %q", env["NETMIRROR_HTTP"])
	}
	ports := make(map[string]string)
	for _, p := range at(t, container, "ports").([]any) {
		ports[at(t, p, "name").(string)] = fmt.Sprint(at(t, p, "containerPort"), "/", at(t, p, "protocol"))
	}
	if ports["http"] != port+"/TCP" || ports["mirror"] != "4789/UDP" {
		t.Errorf("ports %v, --http %s", ports, env["NETMIRROR_HTTP"])
	}
	for probe, path := range map[string]string{"livenessProbe": "/healthz", "readinessProbe": "/readyz"} {
		if got := at(t, container, probe, "httpGet", "path"); got != path {
			t.Errorf("%s asks %v", probe, got)
		}
	}
}

// TestTerraform sees that each variable is declared and used, that the template
// gets what it asks for, and that the settings it writes are settings.
func TestTerraform(t *testing.T) {
	files, err := filepath.Glob("terraform/*.tf")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	code := ""
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		code += string(data)
	}
	set := func(re, text string) map[string]bool {
		found := make(map[string]bool)
		for _, m := range regexp.MustCompile(re).FindAllStringSubmatch(text, -1) {
			found[m[1]] = true
		}
		return found
	}
	same := func(what string, a, b map[string]bool) {
		if !maps.Equal(a, b) {
			t.Errorf("%s: %v and %v", what, slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)))
		}
	}
	same("variables declared and used", set(`(?m)^variable "(\w+)"`, code), set(`\bvar\.(\w+)`, code))
	declared := set(`(?m)^(?:resource|data) "(\w+" "\w+)"`, code)
	for used := range set(`\b(aws_\w+\.\w+)\b`, code) {
		kind, name, _ := strings.Cut(used, ".")
		if !declared[kind+`" "`+name] {
			t.Errorf("there is no %s", used)
		}
	}
	data, err := os.ReadFile(userDataFile)
	if err != nil {
		t.Fatal(err)
	}
	template := string(data)
	_, call, _ := strings.Cut(code, userDataFile[len("terraform/"):])
	call, _, _ = strings.Cut(call, "})")
	same("what the template gets and asks for", set(`(?m)^\s+(\w+)\s+=`, call), set(`\$\{(\w+)\}`, template))

	_, conf, _ := strings.Cut(template, "<<CONF\n")
	conf, _, ok := strings.Cut(conf, "\nCONF\n")
	if !ok {
		t.Fatal("there is no configuration in the template")
	}
	sections, section := readFlags(t).sections, ""
	for line := range strings.Lines(conf) {
		line = strings.TrimSpace(line)
		if key, _, ok := strings.Cut(line, " = "); ok && !sections[section][key] {
			t.Errorf("[%s] has no key %q", section, key)
		} else if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
		}
	}
}

// TestLinks sees that what the texts link to is there.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)\s]*)?\)`)
	for path, text := range texts(t, "kubernetes", "terraform", "../docs") {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

// TestLogLines sees that what the troubleshooting page quotes is what netmirror
// says, and that it has all that is wrong.
func TestLogLines(t *testing.T) {
	data, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tables, ok := strings.Cut(string(data), "\n## Log lines\n")
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(tables, -1)
	if !ok || len(rows) < 40 {
		t.Fatalf("found only %d lines quoted", len(rows))
	}
	said := spoken(t)
	for _, row := range rows {
		for part := range strings.SplitSeq(row[1], "…") {
			if !contained(said, part) {
				t.Errorf("netmirror does not say %q of %q", part, row[1])
			}
		}
	}
	for id, p := range problems() {
		if id != "target_refused" && !strings.Contains(tables, "`"+p.Text()+"`") { // which bridge says
			t.Errorf("the problem %s is not explained: %s", id, p.Text())
		}
	}
}

// contained reports whether one of the strings has the text, or, where an error
// wraps another, two have a part of it each, or more of them a part between colons each.
func contained(said []string, text string) bool {
	has := func(text string) bool {
		text = strings.Trim(text, " :;,")
		return slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, text) })
	}
	for i, r := range text {
		if r == ' ' && i > 8 && has(text[:i]) && has(text[i:]) {
			return true
		}
	}
	if wrapping, wrapped, ok := strings.Cut(text, ": "); ok && wrapped != "" && has(wrapping) && contained(said, wrapped) {
		return true
	}
	return has(text)
}

// spoken are the strings of netmirror's code, with … for what is put in.
func spoken(t *testing.T) (all []string) {
	verb := regexp.MustCompile(`%[-+# 0-9.]*[a-z]`)
	for _, dir := range []string{"..", "../settings", "../limits", "../bridge", "../target", "../tap", "../udp", "../link", "../status", "../outcome", "../pipeline", "../replay"} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if e, ok := n.(ast.Expr); ok {
					if s, ok := constant(e); ok {
						all = append(all, verb.ReplaceAllString(s, "…"))
					}
				}
				return true
			})
		}
	}
	return all
}
