package deploy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

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
