package settings

import (
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Setting is a flag and the value that is in force.
type Setting struct {
	Service     string // whose section sets it; "": it holds for all that do not
	Flag, Value string
	Default     bool // the value is what it is where nobody sets it
}

// texts is a flag's value as it is written, one text for each that was given.
func texts(value any) []string {
	v := reflect.Indirect(reflect.ValueOf(value))
	if v.Kind() != reflect.Slice {
		return []string{fmt.Sprint(v)}
	}
	list := make([]string, v.Len())
	for i := range list {
		list[i] = fmt.Sprint(v.Index(i))
	}
	return list
}

// OwnSettings are the settings that sections give to their services, in the order of the sections.
func (o *Options) OwnSettings() (all []Setting) {
	for _, s := range o.sections {
		all = append(all, s.own...)
	}
	return all
}

// InForce are the flags with the values in force, in the order of the help.
func (o *Options) InForce() []Setting {
	var all []Setting
	groups := reflect.ValueOf(o).Elem()
	for i := range groups.NumField() {
		if groups.Type().Field(i).Tag.Get("group") == "" {
			continue
		}
		group := groups.Field(i)
		for j := range group.NumField() {
			tag := group.Type().Field(j).Tag
			if group.Field(j).Kind() == reflect.Bool && tag.Get("no-ini") != "" {
				continue // asks for something to be printed
			}
			values := texts(group.Field(j).Interface())
			value := strings.Join(values, ",")
			all = append(all, Setting{Flag: tag.Get("long"), Value: value, Default: slices.Equal(values, defaults(tag, group.Field(j)))})
		}
	}
	return all
}

// defaults are the texts of a field's default value.
func defaults(tag reflect.StructTag, field reflect.Value) []string {
	if text, ok := tag.Lookup("default"); ok {
		if d, err := time.ParseDuration(text); err == nil && field.Type() == reflect.TypeFor[time.Duration]() {
			text = d.String()
		}
		return []string{text}
	}
	return texts(reflect.Zero(field.Type()).Interface())
}

// LogJSON is what --log-format says of lines in JSON.
const LogJSON = "json"

// levelOff is above every level that is logged at.
const levelOff = slog.Level(100)

var logLevels = map[string]slog.Level{
	"off": levelOff, "error": slog.LevelError, "warn": slog.LevelWarn,
	"info": slog.LevelInfo, "debug": slog.LevelDebug, "trace": slog.LevelDebug,
}

// Level is the least severe level that is logged.
func (r *Reporting) Level() slog.Level { return logLevels[r.LogLevel] }
