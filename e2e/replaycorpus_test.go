package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"netmirror/e2e/corpus"
)

// Every capture of the corpus, played from a file as fast as it goes, gives the same
// streams as live.
func TestReplayCorpus(t *testing.T) {
	w := newWire(t)
	t.Cleanup(func() { w.Close() })
	for _, c := range corpus.All() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel() // most of the time nothing happens
			ctx := deadline(t)
			var got keeper
			target, err := w.To.Serve(w.Target(0), got.keep)
			if err != nil {
				t.Fatal(err)
			}
			defer target.Close()
			path := filepath.Join(t.TempDir(), "capture.pcap")
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.WritePcap(f); err != nil {
				t.Fatal(err)
			}
			f.Close()
			args := c.Args
			if len(c.Mirror.Header) > 0 {
				args = nil // they are for the mirror, and the file has its packets without it
			}
			p := start(t, w.To, netmirrorPath, append([]string{
				"replay", "--port", fmt.Sprint(corpus.Port), "--to", target.Addr().String(), "--workers", "1", "--stats-interval", "0", "--speed", "max",
				path,
			}, args...)...)
			select {
			case <-p.done:
			case <-ctx.Done():
				t.Fatal("the replay does not end")
			}
			if err := target.WaitAll(ctx); err != nil {
				t.Error(err)
			}
			compareCapture(t, c, got.streams)
			b := p.final(t)
			b.check(t)
			checkReasons(t, c, b)
		})
	}
}
