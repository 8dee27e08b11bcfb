package settings

import (
	"fmt"
	"strings"

	"netmirror/requests"
)

// headerLines is the values of --mark-requests.
type headerLines []string

// UnmarshalFlag implements flags.Unmarshaler.
func (h *headerLines) UnmarshalFlag(s string) error {
	if s == "" {
		return nil
	}
	if _, err := requests.New(requests.Config{Marks: []string{s}}); err != nil {
		return err
	}
	*h = append(*h, s)
	return nil
}

// paths is lists of the beginnings of paths.
type paths []string

// UnmarshalFlag implements flags.Unmarshaler.
func (p *paths) UnmarshalFlag(s string) error {
	list, err := words(s)
	if err != nil {
		return err
	}
	if _, err := requests.New(requests.Config{Paths: list}); err != nil {
		return err
	}
	*p = append(*p, list...)
	return nil
}

// hosts is lists of hosts and of what hosts end with.
type hosts []string

// UnmarshalFlag implements flags.Unmarshaler.
func (h *hosts) UnmarshalFlag(s string) error {
	list, err := words(s)
	if err != nil {
		return err
	}
	if _, err := requests.New(requests.Config{Hosts: list}); err != nil {
		return err
	}
	*h = append(*h, list...)
	return nil
}

// words are those of a list with commas, which may be empty.
func words(s string) (all []string, err error) {
	for word := range strings.SplitSeq(s, ",") {
		if word = strings.TrimSpace(word); word != "" {
			all = append(all, word)
		}
	}
	if len(all) == 0 && strings.TrimSpace(s) != "" {
		return nil, fmt.Errorf("%q is an empty list, which would let everything pass", s)
	}
	return all, nil
}
