package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"netmirror/e2e/lab"
)

// brief makes so many new connections a second, with one request on each.
type brief struct {
	perSecond int
	first     uint64 // number of the first connection, in the ids
	size      int64
}

func (b brief) until(ctx context.Context, c lab.Client, stop <-chan struct{}) (log requestLog, err error) {
	const atOnce = 64
	var mu sync.Mutex // guards log
	pace := lab.PerSecond(b.perSecond)
	err = lab.Each(ctx, 1<<20, atOnce, func(ctx context.Context, i int) error {
		select {
		case <-stop:
			return nil
		default:
		}
		if err := pace.Await(ctx, i); err != nil {
			return err
		}
		q := request{id: (b.first + uint64(i)) << 32, begun: time.Now()}
		if err := c.With(ctx, func(s *lab.Stream) error { return s.Post(q.id, b.size) }); err != nil {
			return err
		}
		q.ended = time.Now()
		mu.Lock()
		defer mu.Unlock()
		log = append(log, []request{q})
		return nil
	})
	return log, err
}

// reloaded is a scene whose netmirror reads its services from a file. A second service
// can be forwarded to either of two targets.
type reloaded struct {
	*scene
	t       *testing.T
	file    string
	page    *statusPage
	stays   verifier
	second  [2]verifier
	shadows [2]*lab.Server
	logged  int // lines of netmirror's that were looked at
}

const reloadSize = 512 // bytes of each request's body

func setReloaded(t *testing.T, args ...string) *reloaded {
	t.Helper()
	dir := t.TempDir()
	r := &reloaded{t: t, file: filepath.Join(dir, "netmirror.conf")}
	r.stays = verifier{size: reloadSize, tries: 2} // a changed service's target is tried again
	r.scene = setServices(t, lab.Options{BothDirections: true}, r.stays.serve)
	origin, err := r.Srv.Serve(r.Origin(secondPort), lab.AnswerHTTP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(origin.Close)
	for i := range r.shadows {
		r.second[i] = verifier{size: reloadSize}
		if r.shadows[i], err = r.Dst.Serve(r.Shadow(r.port(i)), r.second[i].serve); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.shadows[i].Close)
	}
	r.write("", nothing)
	socket := filepath.Join(dir, "http.sock")
	r.netmirror = start(t, r.Mon, netmirrorPath, append([]string{"--config", r.file, "--iface", lab.MirrorLink, "--http", socket, "--workers", "2"}, args...)...)
	r.ready(t)
	r.page = newStatusPage(t, r.ctx, socket)
	return r
}

func (r *reloaded) port(target int) uint16 { return shadowPort + 1 + uint16(target) }

// followed is a rate of requests, or less, where netmirror has the race detector in it.
func followed(perSecond int) int {
	if os.Getenv("NETMIRROR_RACE") == "1" {
		return perSecond / 8
	}
	return perSecond
}

// What the second service is to be: not there, or for one of the targets.
const nothing = -1

// write writes the settings; more is put behind them.
func (r *reloaded) write(more string, target int) {
	r.t.Helper()
	text := fmt.Sprintf("[Service stays]\nvni = 42\nport = %d\nto = %s\n", servicePort, r.Shadow(shadowPort))
	if target != nothing {
		text += fmt.Sprintf("[Service second]\nvni = any\nport = %d,9000-9999\nto = %s\n", secondPort, r.Shadow(r.port(target)))
	}
	if err := os.WriteFile(r.file, []byte(text+more), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// reload has netmirror read the settings again, and returns between which times they
// came into force. The line that it logs then has the texts.
func (r *reloaded) reload(want string, has ...string) (asked, done time.Time) {
	r.t.Helper()
	asked = time.Now()
	if err := r.netmirror.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	line, next, err := r.netmirror.await(r.ctx, r.logged, want)
	if err != nil {
		r.t.Fatal(err)
	}
	r.logged = next
	for _, text := range has {
		if !strings.Contains(line, text) {
			r.t.Errorf("netmirror logged %s, without %q", line, text)
		}
	}
	return asked, time.Now()
}

const (
	readAgain = `msg="settings read again"`
	staysAsIs = `msg="the settings stay as they are`
)

// inForce is what the second service was for some time.
type inForce struct {
	target   int
	from, to time.Time
}

// Ten reloads under load: no request of the service that stays is missing, one that is
// added gets its own, with whichever target, and one that is removed ends.
func TestReload(t *testing.T) {
	for name, args := range map[string][]string{"ring": nil, "sockets": {"--capture", "udp"}} {
		t.Run(name, func(t *testing.T) { testReload(t, setReloaded(t, args...)) })
	}
}

func testReload(t *testing.T, r *reloaded) {
	lasting := r.load(busy{conns: 8, perSecond: followed(500), size: reloadSize}.until, servicePort)
	short := r.load(brief{perSecond: followed(400), first: 1000, size: reloadSize}.until, servicePort)
	other := r.load(brief{perSecond: followed(80), first: 1000, size: reloadSize}.until, secondPort)
	otherLasting := r.load(busy{conns: 4, perSecond: 20, size: reloadSize}.until, secondPort)
	now := inForce{target: nothing, from: time.Now()}
	var phases []inForce
	step := func(target int, more, want string, has ...string) {
		t.Helper()
		if err := r.origin.WaitReceived(r.ctx, r.origin.Received()+int64(followed(300))*reloadSize); err != nil {
			t.Fatal(err)
		}
		r.write(more, target)
		asked, done := r.reload(want, has...)
		if want == staysAsIs {
			return
		}
		now.to = asked
		phases = append(phases, now)
		now = inForce{target: target, from: done}
	}
	step(0, "", readAgain, "added=second")
	step(1, "[Service third]\nprot = 80\n", staysAsIs, r.file, "Service third", "prot")
	step(1, "", readAgain, "changed=second")
	step(nothing, "", readAgain, "removed=second")
	for i, server := range r.shadows {
		if err := server.Wait(r.ctx, 0); err != nil {
			t.Errorf("connections of target %d are open: %v", i, err)
		}
	}
	step(1, "", readAgain, "added=second")
	step(1, "", readAgain, `added="" changed="" removed=""`)
	step(0, "[Target]\nwrite-timeout = 9s\n", readAgain, "changed=stays,second")
	step(1, "[Service second]\nvni = 1\nport = 1\nto = x:1\n", staysAsIs, "Service second")
	step(nothing, "[Run]\nworkers = 3\n", staysAsIs, "Run")
	step(nothing, "[Running]\nthreads = 3\n", readAgain, "removed=second")
	now.to = time.Now()
	phases = append(phases, now)
	log := append(lasting(), short()...)
	second := other()
	otherLasting() // which target has its requests depends on when its connections began

	if m := r.page.metrics(); m[`netmirror_reloads_total{result="ok"}`] != 7 || m[`netmirror_reloads_total{result="error"}`] != 3 ||
		time.Since(time.UnixMilli(int64(1000*m["netmirror_last_reload_timestamp_seconds"]))) > time.Minute {
		t.Errorf("metrics tell of %v reloads, %v with an error, the last at %v", m[`netmirror_reloads_total{result="ok"}`],
			m[`netmirror_reloads_total{result="error"}`], m["netmirror_last_reload_timestamp_seconds"])
	}
	if _, _, err := r.netmirror.await(r.ctx, 0, "need a restart; they stay as they are\" settings=threads"); err != nil {
		t.Error(err)
	}
	if err := r.awaitForwarded(len(log)); err != nil {
		t.Errorf("the service that stays: %v", err)
	}
	r.netmirror.stop(t)
	r.stays.check(t, log.last())
	checkArrived(t, log, r.stays.came(), func(request) bool { return true })
	r.checkSecond(second, phases)
	r.checkBooks(t)
	t.Logf("%d requests in %d connections of the service that stays; of the other one %d came to one target and %d to the other",
		len(log.all()), len(log), len(r.second[0].came()), len(r.second[1].came()))
}

// load starts requests to a port, until the function that it returns is called.
func (r *reloaded) load(until func(context.Context, lab.Client, <-chan struct{}) (requestLog, error), port uint16) (finish func() requestLog) {
	return startLoad(r.t, func(stop <-chan struct{}) (requestLog, error) { return until(r.ctx, r.ClientOf(port), stop) })
}

// checkSecond checks that each request that was made while a target was in force has
// come to it whole, and to no other.
func (r *reloaded) checkSecond(log requestLog, phases []inForce) {
	r.t.Helper()
	came := []map[uint64]int{r.second[0].came(), r.second[1].came()}
	for i := range r.second {
		complain(r.t, r.second[i].problems)
	}
	var wrong []string
	sure := make(map[int]int)
	for _, q := range log.all() {
		for _, p := range phases {
			if q.begun.Before(p.from) || q.ended.After(p.to) {
				continue
			}
			sure[p.target]++
			for target := range came {
				want := 0
				if target == p.target {
					want = 1
				}
				if n := came[target][q.id]; n != want {
					wrong = append(wrong, fmt.Sprintf("request %d of the second service came %d times to target %d, while target %d was in force",
						q.id>>32, n, target, p.target))
				}
			}
		}
	}
	complain(r.t, wrong)
	if min(sure[nothing], sure[0], sure[1]) < followed(10) {
		r.t.Errorf("the second service had only %v requests by target", sure)
	}
}

// Without a file there is nothing to read, and nothing ends.
func TestReloadWithoutAFile(t *testing.T) {
	s := set(t, lab.Options{}, nil)
	for from := range 2 {
		if err := s.netmirror.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		seen := 0
		for next := 0; seen <= from; seen++ {
			var err error
			if _, next, err = s.netmirror.await(s.ctx, next, "SIGHUP: there is nothing to read again"); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.run(t, connections(3, 3, 2, 1000))
}

// A mark that the kernel does not let this process set is refused when it comes with a
// reload too: else each stream of the service would be.
func TestReloadWithAMarkThatIsNotAllowed(t *testing.T) {
	s := setServices(t, lab.Options{}, nil)
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // for nobody to read it
		t.Fatal(err)
	}
	file := filepath.Join(dir, "netmirror.conf")
	write := func(more string) {
		text := fmt.Sprintf("[Service shop]\nvni = 42\nport = %d\nto = %s\n", servicePort, s.Shadow(shadowPort))
		if err := os.WriteFile(file, []byte(text+more), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	s.netmirror = startCommand(t, s.Mon, asNobody(t, []string{"--bounding-set=-all"}, netmirrorPath, "--capture", "udp", "--config", file))
	s.ready(t)
	write("mark = 7\n")
	if err := s.netmirror.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	line, _, err := s.netmirror.await(s.ctx, 0, staysAsIs)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"service shop", "mark 7", "CAP_NET_ADMIN"} {
		if !strings.Contains(line, want) {
			t.Errorf("netmirror logged %s, without %q", line, want)
		}
	}
}
