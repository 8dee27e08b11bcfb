package main

import (
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"netmirror/status"
)

// settings are the flags with the values in force, in the order of the help.
func (o *options) settings() []status.Setting {
	var all []status.Setting
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
			all = append(all, status.Setting{Flag: tag.Get("long"), Value: value, Default: slices.Equal(values, defaults(tag, group.Field(j)))})
		}
	}
	return all
}

// defaults are the texts of a field's value where nobody sets it.
func defaults(tag reflect.StructTag, field reflect.Value) []string {
	if text, ok := tag.Lookup("default"); ok {
		if d, err := time.ParseDuration(text); err == nil && field.Type() == reflect.TypeFor[time.Duration]() {
			text = d.String()
		}
		return []string{text}
	}
	return texts(reflect.Zero(field.Type()).Interface())
}

// logSettings tells what is in force.
func logSettings(log *slog.Logger, all []status.Setting) {
	args := []any{"version", version()}
	for _, s := range all {
		args = append(args, strings.ReplaceAll(s.Flag, "-", "_"), s.Value)
	}
	log.Info("settings", args...)
}
