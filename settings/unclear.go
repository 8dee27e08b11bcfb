package settings

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/jessevdk/go-flags"
)

// unclear refuses a command line that repeats a flag with a single value: nobody can know which
// one was meant. It refuses an empty value for a filter, which would let everything pass, and for
// what to capture and where to send it. Such a value comes from a shell's variable that is not set.
// The command line must have been parsed without an error.
func unclear(args []string) error {
	p := flags.NewNamedParser("", flags.PassDoubleDash)
	p.SubcommandsOptional = true
	var lists []reflect.Value
	groups := reflect.TypeFor[Options]()
	for i := range groups.NumField() {
		if groups.Field(i).Tag.Get("group") == "" {
			continue
		}
		list := reflect.New(listed(groups.Field(i).Type))
		lists = append(lists, list.Elem())
		if _, err := p.AddGroup(groups.Field(i).Name, "", list.Interface()); err != nil {
			return err
		}
	}
	for name, of := range map[string]reflect.Type{"check": reflect.TypeFor[Check](), "replay": reflect.TypeFor[Replay]()} {
		list := reflect.New(listed(of))
		lists = append(lists, list.Elem())
		if _, err := p.AddCommand(name, "", "", list.Interface()); err != nil {
			return err
		}
	}
	if _, err := p.ParseArgs(args); err != nil {
		return err
	}
	for _, list := range lists {
		for i := range list.NumField() {
			if err := unclearValues(list.Type().Field(i).Tag.Get("long"), list.Field(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// unclearValues is unclear for one flag.
func unclearValues(flag string, values reflect.Value) error {
	if v, ok := values.Interface().(several); ok {
		switch {
		case !slices.Contains(v, ""):
		case slices.Contains(filters, flag):
			return fmt.Errorf("--%s is empty; leave it out if everything is to pass", flag)
		default:
			return fmt.Errorf("--%s is empty; give it a value, or leave it out", flag)
		}
		if flag != "port" { // which may be given once, and has a list as its value
			return nil
		}
	}
	if values.Kind() != reflect.Slice || values.Len() < 2 {
		return nil
	}
	all := texts(values.Interface())
	if flag == "port" {
		return fmt.Errorf("--%s is given %d times (%s); write --%[1]s %[4]s", flag, values.Len(), strings.Join(all, ", "), strings.Join(all, ","))
	}
	return fmt.Errorf("--%s is given %d times (%s); leave all but one out", flag, values.Len(), strings.Join(all, ", "))
}

// filters are the flags without which everything passes.
var filters = []string{"clients", "exclude-clients", "only-path", "only-host"}

// selecting are the flags that say what to capture, and where it is to go.
var selecting = []string{"iface", "mirror-port", "vni", "port", "to", "forward"}

// several is the values of one of either, which may be several, and not empty.
type several []string

// IsValidValue implements flags.ValueValidator, as given does.
func (several) IsValidValue(string) error { return nil }

// given are the values of a flag.
type given []string

// IsValidValue implements flags.ValueValidator. It takes a value like -5, which go-flags would
// take for a flag: the real parse has judged it already.
func (given) IsValidValue(string) error { return nil }

// listed is a type of flags like the given one, with a list in place of each single value.
func listed(of reflect.Type) reflect.Type {
	var fields []reflect.StructField
	for i := range of.NumField() {
		f := of.Field(i)
		tag := fmt.Sprintf("long:%q", f.Tag.Get("long"))
		if short := f.Tag.Get("short"); short != "" {
			tag += fmt.Sprintf(" short:%q", short)
		}
		list := reflect.TypeFor[given]()
		switch name := f.Tag.Get("long"); {
		case slices.Contains(filters, name), slices.Contains(selecting, name):
			list = reflect.TypeFor[several]()
		case f.Type.Kind() == reflect.Bool:
			list = reflect.TypeFor[[]bool]()
		case f.Type.Kind() == reflect.Slice: // may be given more than once; of a text, the last is kept
			list = reflect.TypeFor[string]()
		}
		fields = append(fields, reflect.StructField{Name: f.Name, Type: list, Tag: reflect.StructTag(tag)})
	}
	return reflect.StructOf(fields)
}
