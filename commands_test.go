package main

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"netmirror/settings"
)

// documents are the texts of the repository that show how netmirror is called.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, root := range []string{"README.md", "docs", "deploy"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".md" {
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

// callsIn are the calls of netmirror in a text, as the words behind its name: lines of code,
// where a backslash goes on with the next one, and code within lines.
func callsIn(text string) (calls [][]string) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		if code, ok := strings.CutPrefix(line, "    "); ok {
			calls = append(calls, called(code)...)
			continue
		}
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
			calls = append(calls, called(m[1])...)
		}
	}
	return calls
}

// words are those of a line for a shell.
func words(line string) []string {
	all := regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1)
	for i, word := range all {
		all[i] = strings.Trim(word, "'")
	}
	return all
}

// called is the call in a line for a shell, if there is one with arguments.
func called(line string) [][]string {
	line, _, _ = strings.Cut(line, " #")
	words := words(strings.TrimPrefix(strings.TrimSpace(line), "$ "))
	if len(words) == 0 || !slices.Contains([]string{"netmirror", "sudo", "docker", "kubectl"}, filepath.Base(words[0])) {
		return nil
	}
	for i, word := range words[:len(words)-1] {
		next := words[i+1]
		flags := slices.ContainsFunc(words[i+1:], func(w string) bool { return strings.HasPrefix(w, "--") })
		if filepath.Base(word) != "netmirror" || next == "--" || !flags && len(words)-i != 5 || flags && next != "check" && next != "replay" && !strings.HasPrefix(next, "--") {
			continue
		}
		return [][]string{words[i+1:]}
	}
	return nil
}

func parsed(args []string) (*settings.Options, error) {
	return settings.Parse(settings.Call{Program: "netmirror", Args: args, Getenv: func(string) string { return "" }, Stdout: io.Discard})
}

// Every call of netmirror that the documents show is one that it takes.
func TestCallsInDocuments(t *testing.T) {
	config := filepath.Join(t.TempDir(), "netmirror.conf")
	if err := os.WriteFile(config, []byte("[Capture]\niface = eth0\n[Selection]\nvni = 42\nport = 80\n[Target]\nto = a:80\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for path, text := range documents(t) {
		for _, args := range callsIn(text) {
			found[path]++
			for i, arg := range args {
				args[i] = strings.NewReplacer("/etc/netmirror/netmirror.conf", config, "HOST:PORT", "host:80").Replace(arg)
			}
			if slices.ContainsFunc(args, func(arg string) bool { return strings.ContainsAny(arg, "…[|") }) {
				continue // not for pasting
			}
			if _, err := parsed(args); err != nil && err != settings.ErrShown {
				t.Errorf("%s: netmirror %s: %v", path, strings.Join(args, " "), err)
			}
		}
	}
	for _, path := range []string{"README.md", "docs/aws.md", "docs/azure.md", "docs/gcp.md", "docs/linux.md", "docs/switches.md", "docs/overlays.md"} {
		if found[path] == 0 {
			t.Errorf("%s shows no call", path)
		}
	}
}

// The settings of the manifest for Kubernetes are such that netmirror takes them.
func TestSettingsOfTheManifest(t *testing.T) {
	data, err := os.ReadFile("deploy/kubernetes/netmirror.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`\{name: NETMIRROR_(\w+), value: "?([^"}]*)"?\}`).FindAllStringSubmatch(string(data), -1)
	if len(all) < 5 {
		t.Fatalf("found only %d settings", len(all))
	}
	var args []string
	for _, m := range all {
		args = append(args, "--"+strings.ReplaceAll(strings.ToLower(m[1]), "_", "-")+"="+m[2])
	}
	o, err := parsed(args)
	if err != nil {
		t.Fatal(err)
	}
	if o.Capture.Capture != settings.CaptureUDP || len(o.Mirror().UDP()) == 0 {
		t.Errorf("it captures by %s on %v", o.Capture.Capture, o.Mirror().UDP())
	}
}
