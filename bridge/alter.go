package bridge

import "netmirror/requests"

// alter gives what the target is sent for p, which was read. It is valid until the
// loop's next.
func (s *stream) alter(p []byte) []byte {
	if s.edit == nil {
		return p
	}
	if s.l.altered == nil {
		s.l.altered = make([]byte, 0, requests.MaxOutput)
	}
	return s.edit.Edit(s.l.altered, p)
}

// used is how many bytes of p are done with, where the target took the first taken of
// what alter gave for it.
func (s *stream) used(p []byte, taken int) int {
	if s.edit == nil {
		return taken
	}
	return s.edit.Taken(p, taken)
}
