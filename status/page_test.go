package status

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// servedPage is what a browser gets.
func servedPage(t *testing.T) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	m := NewMonitor(Config{})
	guard(nil, m.routes(http.NotFoundHandler(), false)).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d, %s", w.Code, w.Header().Get("Content-Type"))
	}
	return w
}

func TestPageIsOneSmallDocument(t *testing.T) {
	body := servedPage(t).Body.String()
	for _, part := range []string{pageCSS, pageJS, plotJS, plotCSS, "Copyright (c)"} {
		if !strings.Contains(body, part) {
			t.Errorf("%.40q… is not in it", part)
		}
	}
	if i := strings.Index(body, "{{"); i >= 0 {
		t.Errorf("not filled in: %.40q", body[i:])
	}
	if len(body) >= 150_000 {
		t.Errorf("%d bytes, want less than 150 kB", len(body))
	}
	if strings.Contains(body, "\r") {
		t.Error("a carriage return, which a browser reads as another character than was hashed")
	}
}

// The document names no other resource, and no place elsewhere.
func TestPageAsksNobodyElse(t *testing.T) {
	body := servedPage(t).Body.String()
	for _, m := range regexp.MustCompile(`(?i)\s(?:src|href|srcset|action|data)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		if strings.Contains(m[1], "//") {
			t.Errorf("refers to %s", m[1])
		}
	}
	if m := regexp.MustCompile(`(?i)<(?:script|link|img|iframe|object)[^>]*(?:src|href)="[^d#][^"]*"|@import|url\(|importScripts|\bimport\(`).FindString(body); m != "" {
		t.Errorf("loads something: %s", m)
	}
}

// The policy allows the two inline blocks by what is in them, and nothing else
// that runs or styles.
func TestPagePolicy(t *testing.T) {
	w := servedPage(t)
	policy := make(map[string]string)
	for _, directive := range strings.Split(w.Header().Get("Content-Security-Policy"), "; ") {
		name, value, _ := strings.Cut(directive, " ")
		policy[name] = value
	}
	hash := func(tag string) string {
		blocks := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(w.Body.String(), -1)
		if len(blocks) != 1 {
			t.Fatalf("%d blocks of <%s>, want 1", len(blocks), tag)
		}
		sum := sha256.Sum256([]byte(blocks[0][1]))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	for name, want := range map[string]string{
		"default-src": "'none'", "script-src": hash("script"), "style-src": hash("style"), "connect-src": "'self'", "img-src": "data:",
		"frame-ancestors": "'none'", "base-uri": "'none'", "form-action": "'none'", "require-trusted-types-for": "'script'",
	} {
		if policy[name] != want {
			t.Errorf("%s is %q, want %q", name, policy[name], want)
		}
		delete(policy, name)
	}
	if len(policy) > 0 {
		t.Errorf("it says also %v", policy)
	}
	if m := regexp.MustCompile(`(?i)<[^>]*\s(?:style|on[a-z]+)=`).FindString(regexp.MustCompile(`(?s)<script>.*</script>`).ReplaceAllString(w.Body.String(), "")); m != "" {
		t.Errorf("has %s, which the policy forbids", m)
	}
}

// What comes from packets is only ever made into text.
func TestPageMakesNoMarkup(t *testing.T) {
	if m := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function`).FindString(pageJS + plotJS); m != "" {
		t.Errorf("uses %s", m)
	}
}

// Whatever is counted as lost or as an end has its words on the page, and it knows
// which ends are a loss.
func TestPageHasWordsForAllThatIsCounted(t *testing.T) {
	m := regexp.MustCompile(`(?m)^const WORDS = (.*);$`).FindStringSubmatch(servedPage(t).Body.String())
	if m == nil {
		t.Fatal("there are no words in the page")
	}
	var words struct {
		Ends []struct {
			Name, Shown string
			Harmless    bool
		}
		Losses map[string]string
	}
	if err := json.Unmarshal([]byte(m[1]), &words); err != nil {
		t.Fatal(err)
	}
	var s Snapshot
	s.Ring.Drops = 1
	for r := range s.Decap {
		s.Decap[r] = 1
	}
	for d := range s.Stack.Dropped {
		s.Stack.Dropped[d] = 1
	}
	for d := range s.Ring.FragmentsDropped {
		s.Ring.FragmentsDropped[d], s.Inner.FragmentsDropped[d] = 1, 1
	}
	for e := range s.Bridge.Outcomes {
		s.Bridge.Outcomes[e] = 1
	}
	for name := range lostPackets(&s) {
		if words.Losses[name] == "" {
			t.Errorf("no words for the loss %s", name)
		}
	}
	ended, cut := endedStreams(&s), cutStreams(&s)
	for _, e := range words.Ends {
		if ended[e.Name] != 1 || e.Shown == "" || e.Harmless == (cut[e.Name] > 0) {
			t.Errorf("%+v, of which %d ended and %d were cut", e, ended[e.Name], cut[e.Name])
		}
	}
	if len(words.Ends) != len(ended) {
		t.Errorf("words for %d ends of %d", len(words.Ends), len(ended))
	}
	if words.Losses["bad_checksum"] != "wrong TCP checksum" || words.Losses["outer_malformed"] != "could not be read" {
		t.Errorf("%v", words.Losses)
	}
}
