package bridge

import (
	"net/netip"
	"testing"
	"time"

	"netmirror/requests"
	"netmirror/target"
	"netmirror/target/targettest"
)

// made is a bridge like that of every other call, but for what is changed.
func made(t *testing.T, change func(*Config)) *Bridge {
	t.Helper()
	c := Config{Target: "127.0.0.1:443"}
	if change != nil {
		change(&c)
	}
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLike(t *testing.T) {
	rules := func(c requests.Config) func(*Config) {
		return func(to *Config) {
			r, err := requests.New(c)
			if err != nil {
				t.Fatal(err)
			}
			to.Requests = r
		}
	}
	option := func(set func(*target.Options)) func(*Config) {
		return func(c *Config) {
			c.Target = "tls://127.0.0.1:443"
			set(&c.Options)
		}
	}
	ca := targettest.NewAuthority(t)
	cert, key := ca.Files(t, "client")
	ways := map[string]func(*Config){
		"":              nil,
		"another port":  func(c *Config) { c.Target = "127.0.0.1:444" },
		"dial timeout":  func(c *Config) { c.DialTimeout = time.Second },
		"retries":       func(c *Config) { c.Retries = 7 },
		"retry delay":   func(c *Config) { c.RetryDelay = time.Second },
		"write timeout": func(c *Config) { c.WriteTimeout = time.Second },
		"linger":        func(c *Config) { c.LingerTimeout = time.Second },
		"TLS":           option(func(*target.Options) {}),
		"TLS name":      option(func(o *target.Options) { o.TLS.Name = "b" }),
		"TLS CA":        option(func(o *target.Options) { o.TLS.CA = ca.File(t) }),
		"TLS cert":      option(func(o *target.Options) { o.TLS.Cert, o.TLS.Key = cert, key }),
		"TLS insecure":  option(func(o *target.Options) { o.TLS.Insecure = true }),
		"header 1":      func(c *Config) { c.Options.Header = target.HeaderV1 },
		"header 2":      func(c *Config) { c.Options.Header = target.HeaderV2 },
		"source":        func(c *Config) { c.Options.Source = netip.MustParseAddr("127.0.0.1") },
		"mark":          func(c *Config) { c.Options.Mark = 7 },
		"marks":         rules(requests.Config{Marks: []string{"A: 1"}}),
		"other marks":   rules(requests.Config{Marks: []string{"A: 2"}}),
		"paths":         rules(requests.Config{Paths: []string{"/a"}}),
		"other paths":   rules(requests.Config{Paths: []string{"/b"}}),
		"hosts":         rules(requests.Config{Hosts: []string{"a"}}),
	}
	for a, x := range ways {
		for b, y := range ways {
			if got := made(t, x).Like(made(t, y)); got != (a == b) {
				t.Errorf("%q is like %q: %v", a, b, got)
			}
		}
	}
}

// A certificate that was renewed in its place makes another bridge of the same settings.
func TestLikeReadsTheFilesOfTLS(t *testing.T) {
	ca := targettest.NewAuthority(t)
	cert, key := ca.Files(t, "client")
	renew := func(c *Config) {
		c.Target, c.Options.TLS = "tls://127.0.0.1:443", target.TLSOptions{Cert: cert, Key: key}
	}
	was := made(t, renew)
	if !was.Like(made(t, renew)) {
		t.Error("with the same certificate it is another one")
	}
	ca.Files(t, "client") // in the same place
	if was.Like(made(t, renew)) {
		t.Error("with another certificate it is the same")
	}
}
