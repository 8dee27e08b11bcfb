package status

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// MaxClients is how many connections to --http there are at a time.
	MaxClients = 64

	answerWithin = 10 * time.Second // for a whole answer

	// perSecond bounds the requests that are answered, health aside: each costs
	// up to some milliseconds, which are the capture's. A page asks two a second.
	perSecond = 100
)

// Serve answers on ln, which it owns, until ctx ends; then it finishes the answers
// that it has begun, for a second at most, and returns nil. With profiles it
// serves /debug/pprof too.
func (m *Monitor) Serve(ctx context.Context, ln net.Listener, metrics http.Handler, profiles bool) error {
	srv := &http.Server{
		Handler:           guard(ln.Addr(), m.routes(metrics, profiles)),
		ConnState:         (&crowd{limit: MaxClients, all: make(map[net.Conn]doing)}).changed,
		ErrorLog:          log.New(&seldom{log: m.cfg.Log}, "", 0),
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
	err := srv.Serve(ln)
	if stop() {
		return fmt.Errorf("--http: %w", err)
	}
	<-done
	return nil
}

func (m *Monitor) routes(metrics http.Handler, profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	mux.HandleFunc("/readyz", m.serveReady)
	limit := rate.NewLimiter(perSecond, 2*perSecond)
	for path, h := range map[string]http.Handler{
		"/metrics": metrics, "/status.json": http.HandlerFunc(m.serveReport), "/history.json": http.HandlerFunc(m.serveHistory),
		"/flows": http.HandlerFunc(m.serveFlows), "/{$}": page,
	} {
		mux.Handle(path, limited(limit, h))
	}
	if profiles {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", unhurried(pprof.Profile))
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", unhurried(pprof.Trace))
	}
	return mux
}

// limited answers 429 to what is beyond the limit.
func limited(limit *rate.Limiter, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !limit.Allow() {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many requests; ask less often", http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// seldom is where the server's own messages go, one a minute: they tell of
// clients, or of a lack of descriptors.
type seldom struct {
	log *slog.Logger

	mu   sync.Mutex // guards next
	next time.Time
}

func (s *seldom) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); !now.Before(s.next) {
		s.next = now.Add(logEvery)
		s.log.Warn("the status page has trouble", "err", strings.TrimSpace(string(p)),
			"do", "if err says too many open files, raise LimitNOFILE=; otherwise a client broke off")
	}
	return len(p), nil
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

// ownName reports whether a request's Host is localhost or an address, or there is
// none, as HTTP/1.0 allows: a browser always sends one.
func ownName(host string) bool {
	if host == "" {
		return true
	}
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
