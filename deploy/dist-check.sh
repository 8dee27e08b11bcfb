#!/bin/sh
# Builds HEAD twice, in two clones in two places, each with a compiler's cache
# of its own, and tells whether all packages are the same, byte for byte.
set -eu
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM
for clone in first "second, elsewhere"; do
	git clone -q . "$tmp/$clone"
	(
		cd "$tmp/$clone"
		[ "$clone" = first ] || umask 077 # nor may that matter
		GOCACHE="$tmp/cache of $clone" DIST="$tmp/dist of $clone" deploy/dist.sh
	)
done
diff -r "$tmp/dist of first" "$tmp/dist of second, elsewhere"
cat "$tmp/dist of first/SHA256SUMS"
echo "the same bytes twice"
