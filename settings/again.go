package settings

import (
	"errors"
	"io"
	"reflect"
	"slices"
)

// ErrNoFile is returned by Again where the call names no settings file.
var ErrNoFile = errors.New("no settings file: --config names none")

// Again reads the settings file of a call again, and applies the flags and the environment to
// it as Parse does.
func Again(call Call, was *Options) (*Options, error) {
	if was.Run.Config == "" {
		return nil, ErrNoFile
	}
	call.Stdout = io.Discard
	return Parse(call)
}

// serviceFlags are the flags that say what the services are: --forward, and what a
// section of a service may have.
var serviceFlags = func() []string {
	all := []string{"forward"}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[section]()) {
		all = append(all, field.Tag.Get("long"))
	}
	return all
}()

// OfServices reports whether a flag says what the services are.
func (s Setting) OfServices() bool { return slices.Contains(serviceFlags, s.Flag) }

// NeedRestart are the flags outside the services whose values differ in next. A running
// program cannot change them.
func (o *Options) NeedRestart(next *Options) (flags []string) {
	is := next.InForce()
	for i, was := range o.InForce() {
		if !was.OfServices() && was.Value != is[i].Value {
			flags = append(flags, was.Flag)
		}
	}
	return flags
}
