package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/netutil"
)

const (
	maxClients   = 64               // connections at a time; further ones wait
	answerWithin = 10 * time.Second // for a whole answer
)

// Listen opens the address of --http: [HOST]:PORT, without HOST on the IPv4
// loopback address, or the path of a unix socket, which takes the place of one that
// nobody serves any more. Closing the listener removes it.
func Listen(address string) (net.Listener, error) {
	if strings.HasPrefix(address, "/") {
		return listenUnix(address)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("--http %q: need [HOST]:PORT, like :9090 or 0.0.0.0:9090, or the /PATH of a unix socket", address)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("--http %s: the port is taken; choose another one (ss -ltnp shows whose it is)", address)
	}
	if err != nil {
		return nil, fmt.Errorf("--http %s: %w", address, err)
	}
	return ln, nil
}

func listenUnix(path string) (net.Listener, error) {
	ln, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if info, serr := os.Lstat(path); serr != nil || info.Mode().Type() != fs.ModeSocket {
			return nil, fmt.Errorf("--http %s: there is a file that is no socket", path)
		}
		if c, derr := net.Dial("unix", path); derr == nil {
			c.Close()
			return nil, fmt.Errorf("--http %s: another process serves this socket", path)
		}
		if err = os.Remove(path); err == nil {
			ln, err = net.Listen("unix", path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("--http %s: %w", path, err)
	}
	return ln, nil
}

// Serve answers on ln, which it owns, until ctx ends; then it finishes the answers
// that it has begun, for a second at most, and returns nil. With profiles it
// serves /debug/pprof too.
func (m *Monitor) Serve(ctx context.Context, ln net.Listener, metrics http.Handler, profiles bool) error {
	srv := &http.Server{
		Handler:           guard(ln.Addr(), m.routes(metrics, profiles)),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: answerWithin, IdleTimeout: time.Minute,
		MaxHeaderBytes: 8 << 10,
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if srv.Shutdown(last) != nil {
			srv.Close()
		}
	})
	err := srv.Serve(netutil.LimitListener(ln, maxClients))
	if stop() {
		return fmt.Errorf("--http: %w", err)
	}
	<-done
	return nil
}

func (m *Monitor) routes(metrics http.Handler, profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", metrics)
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	mux.HandleFunc("/readyz", m.serveReady)
	mux.HandleFunc("/status.json", m.serveReport)
	mux.HandleFunc("/history.json", m.serveHistory)
	mux.HandleFunc("/flows", m.serveFlows)
	mux.Handle("/{$}", page)
	if profiles {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", unhurried(pprof.Profile))
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", unhurried(pprof.Trace))
	}
	return mux
}

func (m *Monitor) serveReady(w http.ResponseWriter, _ *http.Request) {
	if ok, why := m.Ready(); !ok {
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "capturing")
}

// guard lets through what only looks, and has every answer keep to itself: it is
// not framed, not cached, not guessed at, and loads nothing from elsewhere.
func guard(addr net.Addr, next http.Handler) http.Handler {
	local := false
	if tcp, ok := addr.(*net.TCPAddr); ok {
		local = tcp.IP.IsLoopback()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "nothing can be changed here: GET or HEAD", http.StatusMethodNotAllowed)
		case local && !ownName(r.Host):
			// A page elsewhere can have its own name resolve to this address.
			http.Error(w, "this address answers to localhost only; give --http a HOST to be asked by another name", http.StatusForbidden)
		default:
			// An error means that there is no deadline to set, as in tests.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerWithin))
			next.ServeHTTP(w, r)
		}
	})
}

// ownName reports whether a request's Host is localhost or an address.
func ownName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}

// unhurried is for answers that take as long as the request says.
func unhurried(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // as in guard
		next(w, r)
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	// What fails here is the connection.
	_ = json.NewEncoder(w).Encode(v)
}
