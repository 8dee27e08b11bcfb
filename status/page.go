package status

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"netmirror/outcome"
	"netmirror/stack"
)

// The parts of the status page, which is one document when it is served: whoever
// looks at it may reach nothing but netmirror.
var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.js
	pageJS string
	//go:embed page/uplot/uPlot.iife.min.js
	plotJS string
	//go:embed page/uplot/uPlot.min.css
	plotCSS string
	//go:embed page/uplot/LICENSE
	plotLicense string
)

// pageDocument is the status page, and pagePolicy what it may do: run its own
// script and style, and ask where it came from.
var pageDocument, pagePolicy = assemble()

func assemble() (document []byte, policy string) {
	style := plotCSS + "\n" + pageCSS
	// uPlot's license must be in every copy of it.
	script := "/*\n" + plotLicense + "*/\n" + plotJS + "\n" + pageWords() + pageJS
	document = []byte(strings.NewReplacer("{{style}}", style, "{{script}}", script).Replace(pageHTML))
	return document, strings.Join([]string{
		"default-src 'none'", "script-src " + hashSource(script), "style-src " + hashSource(style),
		"connect-src 'self'", "img-src data:", // the icon, which the script makes
		"frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'",
		"require-trusted-types-for 'script'", // nothing becomes markup, even by mistake
	}, "; ")
}

// stateWords say what the states of a connection mean.
var stateWords = map[stack.FlowState]string{
	stack.FlowSeeking: "it is not known yet where a stream could begin; what came is kept for a moment",
	stack.FlowOpening: "its stream is about to begin",
	stack.FlowOpen:    "all that came has been passed on, or the target is taking it",
	stack.FlowGap:     "there is a hole in its stream: a packet is missing and waited for",
	stack.FlowBacklog: "more waits for the target than it takes at once",
}

// pageWords is the constant WORDS of the page's script: what to say of each outcome
// of a stream and of each state of a connection, in the order that they are shown in, and
// of each loss of packets.
func pageWords() string {
	type end struct {
		Name     string `json:"name"`
		Shown    string `json:"shown"`
		Harmless bool   `json:"harmless"`
	}
	type state struct {
		Name  string `json:"name"`
		Shown string `json:"shown"`
	}
	words := struct {
		Ends   []end             `json:"ends"`
		States []state           `json:"states"`
		Losses map[string]string `json:"losses"`
	}{Losses: make(map[string]string)}
	for e := range outcome.NumStreamEnds {
		w := e.Words()
		words.Ends = append(words.Ends, end{w.Name, w.Shown, w.Harmless})
	}
	for _, s := range stack.FlowStates {
		words.States = append(words.States, state{string(s), stateWords[s]})
	}
	losses(new(Snapshot), func(why outcome.Words, _ uint64) { words.Losses[why.Name] = why.Shown })
	text, _ := json.Marshal(words) // strings do not fail, and no < is left that could end the script
	return "const WORDS = " + string(text) + ";\n"
}

// hashSource is the CSP source of an inline block (CSP level 3, section 2.3.1).
func hashSource(block string) string {
	sum := sha256.Sum256([]byte(block))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// page serves the status page.
var page = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pagePolicy)
	_, _ = w.Write(pageDocument) // what fails is the connection
})
