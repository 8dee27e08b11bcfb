package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a tab of a headless Chromium, which runs where netmirror does.
type browser struct {
	t   testing.TB
	ctx context.Context

	mu         sync.Mutex // guards the fields below
	requests   []string   // URLs
	complaints []string   // of the console: errors, and what the policy forbids
}

// browse opens a browser inside the namespace of the scene's netmirror, until the
// test ends.
func (s *scene) browse(t testing.TB) *browser {
	t.Helper()
	chromium, inside := program(t, "chromium", "chromium"), program(t, "nsenter", "util-linux")
	// The one that is entered is there as long as the process in it.
	namespace := fmt.Sprintf("--net=/proc/%d/ns/net", s.netmirror.cmd.Process.Pid)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			cmd.Args = append([]string{inside, namespace, "--", chromium}, cmd.Args[1:]...)
			cmd.Path = inside
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		}))
	ctx, closeAll := chromedp.NewExecAllocator(s.ctx, options...)
	t.Cleanup(closeAll)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	b := &browser{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, b.notice); err != nil {
		t.Fatal(err)
	}
	return b
}

// notice keeps what the page asks for and what the browser finds wrong with it.
func (b *browser) notice(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *log.EventEntryAdded:
		// A netmirror that is down, and a filter that is refused, are what is tested.
		if !strings.Contains(e.Entry.Text, "net::ERR_CONNECTION_REFUSED") && !strings.Contains(e.Entry.Text, "status of 400") {
			b.complaints = append(b.complaints, fmt.Sprintf("%s %s: %s", e.Entry.Source, e.Entry.Level, e.Entry.Text))
		}
	case *runtime.EventConsoleAPICalled:
		b.complaints = append(b.complaints, fmt.Sprintf("console.%s", e.Type))
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text = e.ExceptionDetails.Exception.Description
		}
		b.complaints = append(b.complaints, text)
	}
}

// noticed is what notice kept.
func (b *browser) noticed() (requests, complaints []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.requests...), append([]string{}, b.complaints...)
}

// do performs actions.
func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// await returns when a JavaScript expression has become true.
func (b *browser) await(expression string) {
	b.t.Helper()
	poll := chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(15*time.Second), chromedp.WithPollingInterval(50*time.Millisecond))
	if err := chromedp.Do(b.ctx, poll); err != nil {
		b.t.Fatalf("not so: %s: %v; the page says:\n%s", expression, err, evaluate[string](b, "document.body.innerText.slice(0, 1500)"))
	}
}

// run runs JavaScript in the page.
func (b *browser) run(script string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](script))
}

// evaluate is the value of a JavaScript expression, or of its promise.
func evaluate[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// prefer sets the color scheme that pages are told the user prefers.
func prefer(scheme string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, tab *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return chromedp.Void{}, err
	}
}
