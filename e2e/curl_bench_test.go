package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"netmirror/e2e/lab"
)

// BenchmarkCurl measures what is used of the processor for requests that curl makes
// one after another, a connection each.
func BenchmarkCurl(b *testing.B) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		b.Skip(err)
	}
	b.Run("200 POSTs of 8 KB", func(b *testing.B) {
		besideFloor(b, func(b *testing.B, p subject) { measureCurl(b, curl, p) })
	})
}

func measureCurl(b *testing.B, curl string, p subject) {
	const count, size = 200, 8 << 10
	content := make([]byte, size)
	lab.Body(0).Read(content)
	file := filepath.Join(b.TempDir(), "body")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		b.Fatal(err)
	}
	var whole atomic.Int64
	s := stage(b, lab.Options{}, lab.AnswerHTTP)
	s.play(b, func(c *lab.Conn, _ <-chan struct{}) {
		if answerOnly(c, content) {
			whole.Add(1)
		}
	}, p)
	before := s.netmirror.cpu(b)
	for range count {
		cmd := exec.Command(curl, "-sS", "-o", "/dev/null", "-H", "Expect:", "--data-binary", "@"+file,
			fmt.Sprintf("http://%v/", s.Origin(servicePort)))
		if err := s.Cli.Start(cmd); err != nil {
			b.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			b.Fatalf("lab: curl: %v", err)
		}
	}
	settled(func() bool { return whole.Load() == count }, whole.Load)
	used := s.netmirror.cpu(b) - before
	lost := count - int(whole.Load())
	s.end(b, p, lost)
	b.ReportMetric(used.Seconds(), "cpu-s")
	b.ReportMetric(float64(lost), "lost")
}

// answerOnly answers a connection's only request, and says whether it has the content.
func answerOnly(c *lab.Conn, content []byte) bool {
	req, err := http.ReadRequest(bufio.NewReader(c.TCPConn))
	if err != nil {
		return false
	}
	body, err := io.ReadAll(req.Body)
	if err != nil || !bytes.Equal(body, content) {
		return false
	}
	_, err = io.WriteString(c.TCPConn, lab.Answer)
	return err == nil
}
