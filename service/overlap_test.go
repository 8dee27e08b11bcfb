package service

import "testing"

func TestOverlap(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want bool
	}{
		{"42:8080=a:1", "any:8000-8999=a:1", true},
		{"42,43:80=a:1", "43,44:79-81=a:1", true},
		{"any:80=a:1", "any:80,81=a:1", true},
		{"42:80=a:1", "43:80=a:1", false},
		{"42:80=a:1", "42:81-90=a:1", false},
		{"any:1-79,81=a:1", "42:80=a:1", false},
	} {
		a, err := ParseForward(row.a)
		b, err2 := ParseForward(row.b)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if a.Overlaps(b.Selection) != row.want || b.Overlaps(a.Selection) != row.want {
			t.Errorf("%s and %s overlap: want %v", row.a, row.b, row.want)
		}
	}
}

func TestOverlapOfClients(t *testing.T) {
	for _, row := range []struct {
		only, except, only2, except2 string
		want                         bool
	}{
		{"", "", "", "", true},
		{"10.0.0.0/8", "", "10.1.0.0/16", "", true},
		{"10.0.0.0/8", "", "11.0.0.0/8,2001:db8::/32", "", false},
		{"10.0.0.0/8", "", "", "10.0.0.0/8", false},
		{"10.0.0.0/8", "", "", "10.1.0.0/16", true},
		{"2001:db8::1", "", "", "10.0.0.0/8", true},
	} {
		list := func(s string) []string {
			if s == "" {
				return nil
			}
			return []string{s}
		}
		a, err := NewClients(list(row.only), list(row.except))
		b, err2 := NewClients(list(row.only2), list(row.except2))
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if a.Overlaps(b) != row.want || b.Overlaps(a) != row.want {
			t.Errorf("%+v: want %v", row, row.want)
		}
	}
}
