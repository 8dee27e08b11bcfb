#!/bin/sh
# Runs every fuzz target of the module for the time given, one after the
# other, and fails where it finds none: a renamed target must not go unnoticed.
set -eu
time=$1
found=0
for dir in capfile decap defrag gso tap stack check http1 proxyhdr requests; do
	for target in $(go test -list '^Fuzz' "./$dir" | grep '^Fuzz' || true); do
		found=$((found + 1))
		echo "fuzz $dir $target for $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$dir"
	done
done
if [ "$found" = 0 ]; then
	echo "no fuzz target found" >&2
	exit 1
fi
