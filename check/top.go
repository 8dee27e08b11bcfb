package check

import (
	"cmp"
	"maps"
	"slices"
)

const (
	// topLimit is how many entries a top has at most, those that are pinned
	// aside; topKeep is how many it keeps when it gets there.
	topLimit = 4096
	topKeep  = 1024
)

// top counts by key. There may be millions of keys, made up by an attacker, so it keeps the
// heaviest and only the number of the others (lossy counting). A key that was forgotten starts
// at zero when it comes again.
type top[K comparable, V any] struct {
	entries map[K]*V
	pinned  map[K]bool // never forgotten
	weight  func(*V) uint64

	forgotten uint64 // entries; a key that came again is counted again
	lost      uint64 // their weight
}

func newTop[K comparable, V any](weight func(*V) uint64) *top[K, V] {
	return &top[K, V]{entries: make(map[K]*V), pinned: make(map[K]bool), weight: weight}
}

// pin keeps a key, whatever its weight.
func (t *top[K, V]) pin(k K) { t.pinned[k] = true }

// at gives the entry of a key, new if need be. It is valid until the next call.
func (t *top[K, V]) at(k K) *V {
	if v := t.entries[k]; v != nil {
		return v
	}
	if len(t.entries) >= topLimit+len(t.pinned) {
		t.prune()
	}
	v := new(V)
	t.entries[k] = v
	return v
}

// prune forgets all but the heaviest.
func (t *top[K, V]) prune() {
	kept := 0
	for _, k := range t.heaviest() {
		if t.pinned[k] {
			continue
		}
		if kept++; kept > topKeep {
			t.forgotten++
			t.lost += t.weight(t.entries[k])
			delete(t.entries, k)
		}
	}
}

// heaviest gives the keys in the order of their weight.
func (t *top[K, V]) heaviest() []K {
	return slices.SortedFunc(maps.Keys(t.entries), func(a, b K) int {
		return cmp.Compare(t.weight(t.entries[b]), t.weight(t.entries[a]))
	})
}
