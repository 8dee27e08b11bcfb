package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"netmirror/e2e/lab"
)

const pageAddress = "http://127.0.0.1:9090/"

// pageArgs have netmirror serve the page, and give up soon on a target.
var pageArgs = []string{"--http", ":9090", "--dial-timeout", "200ms", "--max-retries", "0"}

// What the page says, as JavaScript.
const (
	headline   = `document.getElementById("headline").textContent`
	share      = `document.getElementById("share").textContent`
	firstValue = `document.querySelector("[aria-labelledby=chart-packets] .legend b").textContent`
	picture    = `document.querySelector("[aria-labelledby=chart-packets] canvas").toDataURL()`
	moving     = `parseFloat(` + firstValue + `) > 0`
)

// One browser looks at one netmirror through good times and bad ones; it loads
// the page once.
func TestStatusPage(t *testing.T) {
	t.Parallel()
	s := set(t, lab.Options{}, nil, pageArgs...)
	b := s.browse(t)
	busy := startBusy(t, s, busy{conns: 4, perSecond: 200, size: 2 << 10})
	b.do(prefer("light"), chromedp.EmulateViewport(1280, 900), chromedp.Navigate(pageAddress))
	b.run(`window.loadedOnce = true`)

	checkCalm(t, s, b)
	checkFlows(t, s, b)
	checkKeyboard(t, b)
	checkPause(t, b)
	checkNarrow(t, b)
	checkColours(t, b)
	checkDeadTarget(t, s, b)
	checkHang(t, s, b)
	checkRestart(t, s, b)
	busy()

	if !evaluate[bool](b, `window.loadedOnce === true`) {
		t.Error("the page was loaded again")
	}
	requests, complaints := b.noticed()
	for _, url := range requests {
		if !strings.HasPrefix(url, pageAddress) && !strings.HasPrefix(url, "data:") {
			t.Errorf("asked for %s", url)
		}
	}
	for _, text := range complaints {
		t.Errorf("the browser says: %s", text)
	}
	checkPolicy(t, b)
}

// checkCalm checks what is said while all is well, and that the charts move.
func checkCalm(t *testing.T, s *scene, b *browser) {
	t.Helper()
	b.await(headline + ` === "All is well"`)
	// Which netmirror it is of is in the title, for who has several open.
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	who := fmt.Sprintf("%s, %s, VNI 42, port %d → %s", host, lab.MirrorLink, servicePort, s.Shadow(shadowPort))
	if title := evaluate[string](b, `document.title`); title != "✓ netmirror: all is well · "+who {
		t.Errorf("title %q, want it to name %s", title, who)
	}
	if text := evaluate[string](b, `document.getElementById("identity").textContent`); !strings.HasPrefix(text, who) {
		t.Errorf("the header says %q, want %s", text, who)
	}
	b.await(share + ` === "100 %" && document.getElementById("share-box").dataset.level === "ok"`)
	b.await(moving)
	before, _ := json.Marshal(evaluate[string](b, picture))
	b.await(picture + ` !== ` + string(before))
	b.await(`document.querySelectorAll("#outcomes tr").length >= 12 && document.querySelectorAll("#settings-set div").length >= 5`)
	if n := evaluate[int](b, `document.querySelectorAll("#problems li").length`); n != 0 {
		t.Errorf("%d problems are shown while there are none", n)
	}
}

// checkFlows checks the table against a connection that the test makes.
func checkFlows(t *testing.T, s *scene, b *browser) {
	t.Helper()
	const rows = `[...document.querySelectorAll("#flow-rows th")].map((th) => th.textContent)`
	const filter = `((value) => { const f = document.getElementById("filter-client"); f.value = value; f.dispatchEvent(new Event("input", {bubbles: true})) })`
	client, err := s.client.Open(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Get(1); err != nil {
		t.Fatal(err)
	}
	mine := client.LocalAddr().String()
	b.run(`document.getElementById("flows").scrollIntoView()`)
	b.await(fmt.Sprintf(`%s.length === 5 && %s.includes(%q)`, rows, rows, mine))
	b.run(fmt.Sprintf(`%s(%q)`, filter, mine))
	b.await(fmt.Sprintf(`%s.join() === %q`, rows, mine))
	b.run(filter + `("nonsense")`)
	b.await(`document.getElementById("filter-error").textContent.includes("need an address") && document.getElementById("filter-client").ariaInvalid === "true"`)
	b.run(filter + `("")`)
	b.await(fmt.Sprintf(`%s.length === 5 && document.getElementById("filter-error").textContent === ""`, rows))

	// The silent one comes first, where it is asked for by the keyboard.
	b.run(`document.querySelector("[data-sort=idle] button").focus()`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.await(fmt.Sprintf(`document.querySelector("[data-sort=idle]").ariaSort === "descending" && !document.querySelector("[data-sort=age]").ariaSort && %s[0] === %q`, rows, mine))
}

// checkKeyboard goes through the page by Tab alone.
func checkKeyboard(t *testing.T, b *browser) {
	t.Helper()
	const focused = `(() => { const a = document.activeElement, s = getComputedStyle(a), r = a.getBoundingClientRect();
		const name = a.id || a.ariaLabel || a.textContent.trim();
		return name + (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 && r.width > 1 && r.top < innerHeight && r.bottom > 0 ? "" : ", not to be seen") })()`
	b.run(`scrollTo(0, 0); document.querySelector(".skip").focus()`)
	var got []string
	for range 20 {
		got = append(got, evaluate[string](b, focused))
		b.do(chromedp.KeyEvent(kb.Tab))
	}
	want := []string{
		"Skip to the content", "Charts", "Connections", "Totals", "Settings", "pause", "The charts in figures",
		"filter-state", "filter-client", "filter-vni", "Table of the connections", "Held", "Received", "Silent for", "Followed for",
		"What the states mean", "status.json", "metrics", "readyz",
	}
	got = got[:len(want)]
	if g, w := strings.Join(got, " | "), strings.Join(want, " | "); g != w {
		t.Errorf("Tab goes to\n%s, want\n%s", g, w)
	}
}

// checkPause checks that the figures can be held still, while the state goes on.
func checkPause(t *testing.T, b *browser) {
	t.Helper()
	b.run(`document.getElementById("pause").focus()`)
	b.do(chromedp.KeyEvent(" "))
	// Behind the answer that was under way.
	const figures = `document.getElementById("sums").textContent + ` + picture
	const asked = `performance.getEntriesByType("resource").filter((r) => r.name.endsWith("/status.json")).length`
	b.run(`window.held = null; performance.clearResourceTimings()`)
	b.await(asked + ` > 0 && (window.held ??= ` + figures + `)`)
	b.await(asked + ` > 2`)
	if !evaluate[bool](b, figures+` === window.held && document.getElementById("pause").ariaPressed === "true"`) {
		t.Error("the figures move while they are to be still")
	}
	b.do(chromedp.KeyEvent(" "))
	b.await(figures + ` !== window.held`)
}

// checkNarrow checks that a phone need not scroll sideways, and WCAG's narrowest.
func checkNarrow(t *testing.T, b *browser) {
	t.Helper()
	b.run(`document.querySelectorAll("details").forEach((d) => { d.open = true })`)
	for _, width := range []int64{360, 320} {
		b.do(chromedp.EmulateViewport(width, 740))
		b.await(fmt.Sprintf(`innerWidth === %d && document.querySelector("canvas").getBoundingClientRect().right <= %d`, width, width))
		// What is flat is folded: its last value says it all. The ring is not, where a busy
		// machine lets it fill by a thousandth.
		b.await(`["packets-lost", "streams-lost"].every((id) => document.querySelector("[aria-labelledby=chart-" + id + "] .plot").clientHeight === 0) && document.querySelector("[aria-labelledby=chart-packets] .plot").clientHeight > 0`)
		if w := evaluate[int64](b, `document.documentElement.scrollWidth`); w > width {
			t.Errorf("at a width of %d the page is %d wide", width, w)
		}
	}
	b.do(chromedp.EmulateViewport(1280, 900))
}

// unreadable are texts with less contrast than WCAG AA asks for (1.4.3), as the
// browser computes their colors.
const unreadable = `(() => {
	const rgb = (c) => (c.match(/[\d.]+/g) || []).map(Number);
	const light = (c) => { const [r, g, b] = rgb(c).map((v) => (v /= 255, v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)); return 0.2126 * r + 0.7152 * g + 0.0722 * b };
	const behind = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (rgb(c)[3] !== 0) return c } return "rgb(255, 255, 255)" };
	const found = [];
	for (const e of document.querySelectorAll("body *")) {
		if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || !e.checkVisibility() || e.closest("script, :disabled, .skip, .unseen")) continue;
		const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < 4.5) found.push(e.tagName + " " + e.className + " " + e.textContent.slice(0, 30) + ": " + ratio.toFixed(2));
	}
	return found;
})()`

// checkColours checks that the page and its charts follow the scheme, and are
// readable in both.
func checkColours(t *testing.T, b *browser) {
	t.Helper()
	// The color of the line of a chart, which is the bluest in it.
	const line = `(() => {
		const c = document.querySelector("[aria-labelledby=chart-packets] canvas"), copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
		copy.drawImage(c, 0, 0);
		const d = copy.getImageData(0, 0, copy.canvas.width, copy.canvas.height).data;
		for (let i = 0; i < d.length; i += 4) if (d[i + 3] === 255 && d[i + 2] > d[i] + 100) return d.slice(i, i + 3).join();
		return "none" })()`
	const back = `getComputedStyle(document.body).backgroundColor`
	lastLine, lastBack := "", ""
	for _, scheme := range []string{"light", "dark"} {
		b.do(prefer(scheme))
		b.await(fmt.Sprintf(`![%q, "none"].includes(%s) && %s !== %q`, lastLine, line, back, lastBack))
		lastLine, lastBack = evaluate[string](b, line), evaluate[string](b, back)
		for _, text := range evaluate[[]string](b, unreadable) {
			t.Errorf("%s: too little contrast: %s", scheme, text)
		}
	}
	b.do(prefer("light"))
}

// checkDeadTarget has the target take no connection for a moment.
func checkDeadTarget(t *testing.T, s *scene, b *browser) {
	t.Helper()
	const problem = `document.querySelector("[data-key=target_refused]")`
	const card = `document.querySelector("#card-target .word").textContent`
	if err := s.Dst.RefuseNew(shadowPort); err != nil {
		t.Fatal(err)
	}
	if err := gets(3, 1)(s.ctx, s.client); err != nil {
		t.Fatal(err)
	}
	b.await(problem + ` && ` + headline + ` === "The target does not answer"`)
	b.await(`document.title.startsWith("● netmirror")`)
	b.await(card + ` === "Does not answer"`)
	text := evaluate[string](b, problem+`.innerText`)
	for _, part := range []string{"Loss", "streams were given up because the target took no connection", "in the last minute", "Remedy: make sure that the service at --to runs"} {
		if !strings.Contains(text, part) {
			t.Errorf("of the dead target it is said %q, without %q", text, part)
		}
	}
	b.await(`document.querySelector("[aria-labelledby=chart-streams-lost] .legend").textContent.includes("target-refused")`)
	b.await(`document.querySelector("#places [data-key=target] .what").textContent.endsWith("were lost at the target, which does not answer")`)
	if err := s.Dst.AdmitNew(); err != nil {
		t.Fatal(err)
	}
	if err := gets(1, 1)(s.ctx, s.client); err != nil {
		t.Fatal(err)
	}
	b.await(card + ` === "Answers" && ` + headline + ` === "Losing little" && ` + share + ` !== "100 %"`)
}

// checkHang has netmirror do nothing for as long as it takes to be noticed.
func checkHang(t *testing.T, s *scene, b *browser) {
	t.Helper()
	if err := s.netmirror.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	b.await(headline + ` === "Not answering"`)
	if err := s.netmirror.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	b.await(headline + ` !== "Not answering" && !document.querySelector("[data-key^=restart-]") && ` + moving)
}

// checkRestart ends netmirror and starts another one.
func checkRestart(t *testing.T, s *scene, b *browser) {
	t.Helper()
	s.netmirror.stop(t)
	b.await(headline + ` === "Not answering" && document.getElementById("summary").textContent.startsWith("netmirror has not answered since ")`)
	if !evaluate[bool](b, `document.body.classList.contains("stale") && document.title.startsWith("○") && `+moving) {
		t.Error("what was there before is not kept, or not as such")
	}
	for _, text := range evaluate[[]string](b, unreadable) {
		t.Errorf("stale: too little contrast: %s", text)
	}
	s.startNetmirror(t, pageArgs...)
	s.netmirror.capturing(s.ctx)
	b.await(headline + ` === "All is well" && !document.body.classList.contains("stale")`)
	b.await(`document.querySelector("[data-key^=restart-]").textContent.includes("Restart of netmirror at")`)
	if evaluate[bool](b, `!!document.querySelector("[data-key=target_refused]")`) {
		t.Error("the new netmirror has a problem of the old one")
	}
	b.await(moving)
	// Under the mouse, from left to right, are values, a hole, and values again.
	const hover = `(() => {
		const over = document.querySelector("[aria-labelledby=chart-payload] .u-over"), box = over.getBoundingClientRect(), seen = [];
		for (let x = 1; x < box.width; x++) {
			over.dispatchEvent(new MouseEvent("mousemove", { clientX: box.left + x, clientY: box.top + 9, bubbles: true }));
			seen.push(` + firstValue + `);
		}
		over.dispatchEvent(new MouseEvent("mouseleave"));
		return seen.filter((v, i) => v !== seen[i - 1]).join(" ") })()`
	if values := evaluate[string](b, hover); !regexp.MustCompile(`[1-9].*/s –( –)* [1-9]`).MatchString(values) || strings.Contains(values, "-") {
		t.Errorf("the chart of packets has %s", values)
	}
}

// checkPolicy checks that the browser stops what is not the page's own. It comes
// last, for the browser complains.
func checkPolicy(t *testing.T, b *browser) {
	t.Helper()
	for what, expression := range map[string]string{
		"asked another place": `fetch("http://127.0.0.1:9/").then(() => false, () => false)`,
		"made markup":         `(() => { try { document.body.innerHTML = "<b>x</b>"; return true } catch { return false } })()`,
		"ran a script":        `(() => { const s = document.createElement("script"); try { s.text = "window.ran = 1" } catch {}; document.body.append(s); return window.ran === 1 })()`,
	} {
		if evaluate[bool](b, `Promise.resolve(`+expression+`)`) {
			t.Errorf("it could have %s", what)
		}
	}
	if _, complaints := b.noticed(); !strings.Contains(strings.Join(complaints, "\n"), "Content Security Policy") {
		t.Errorf("the policy is not in force: %q", complaints)
	}
}

// A packet that the mirror loses is told of with its remedy. One in a hundred is amber,
// and not red.
func TestStatusPageTellsOfTheMirrorsLoss(t *testing.T) {
	s := set(t, lab.Options{LossEvery: 97}, nil, pageArgs...)
	b := s.browse(t)
	startBusy(t, s, busy{conns: 4, perSecond: 400, size: 2 << 10})
	b.do(chromedp.Navigate(pageAddress))
	b.await(headline + ` === "Losing packets" && document.title.startsWith("▲ netmirror: losing packets")`)
	b.await(`parseFloat(` + share + `) < 99 && parseFloat(` + share + `) >= 95`)
	b.await(`document.querySelector("#places [data-key=before_host] .what").textContent.includes("were lost before this host")`)
	b.await(`document.querySelector("[data-key=gap] .what").textContent.endsWith("streams were reset because the mirror lost one of their packets")`)
	b.await(`document.querySelector("[data-key=gap] .remedy").textContent.includes("check the mirrored host's bandwidth")`)
	b.await(`document.querySelector("[aria-labelledby=chart-streams-lost] .legend").textContent.includes("gap")`)
	b.await(`document.querySelector("[aria-labelledby=chart-packets-lost] .swatch.area")`)
}
