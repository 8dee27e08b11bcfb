#!/bin/sh
# Builds the deb, the rpm and the .tar.gz of each architecture into dist/, or
# into the directory that $DIST names: the same commit makes the same bytes,
# wherever and whenever. ARCHS="amd64 arm64" and FORMATS="deb rpm tar" tell
# which; NFPM is the packager, as "go run" wants it. "dist.sh version" prints
# the version that it would build.
set -eu
cd "$(dirname "$0")/.."
ARCHS=${ARCHS:-amd64 arm64}
FORMATS=${FORMATS:-deb rpm tar}
NFPM=${NFPM:-github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2}

# The bytes are the compiler's and the packager's too, so that both are of one
# version; go fetches this one where it is another.
export GOTOOLCHAIN=go1.26.8
export CGO_ENABLED=0 GOOS=linux GOFLAGS="" GOAMD64=v1 GOARM64=v8.0 GOEXPERIMENT="" LC_ALL=C TZ=UTC
umask 022
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

# The version is legal for dpkg and rpm alike, and one that was built later is
# the later one:
#     at the tag v1.2.3         1.2.3
#     at the tag v1.2.3-rc.1    1.2.3~rc.1, which is before 1.2.3
#     after the tag v1.2.3      1.2.3+20260131120000.0123456789ab
#     before the first tag      0.1.0~20260131120000.0123456789ab
# with the commit's time and name, and +dirty where something was changed since.
if [ -z "${VERSION:-}" ]; then
	commit=$(git log -1 --date=format-local:%Y%m%d%H%M%S --abbrev=12 --format=%cd.%h)
	tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || true)
	if [ -z "$tag" ]; then
		VERSION=0.1.0~$commit
	else
		VERSION=$(printf %s "${tag#v}" | tr - '~')
		[ "$(git rev-list --count "$tag..HEAD")" = 0 ] || VERSION=$VERSION+$commit
	fi
	git diff --quiet HEAD || VERSION=$VERSION+dirty
fi
export VERSION
if [ "${1:-}" = version ]; then
	echo "$VERSION"
	exit
fi

dist=$(mkdir -p "${DIST:-dist}" && cd "${DIST:-dist}" && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
trap 'exit 1' INT TERM

build() { # ARCH FILE
	# -buildvcs would record what this clone knows of tags; -X says it better
	GOARCH=$1 go build -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.release=$VERSION" -o "$2" .
}

host=$(go env GOHOSTARCH)
mkdir "$stage/$host"
build "$host" "$stage/$host/netmirror"
# The page has the name that the program is called by. Settings of ours in the
# environment would be taken for the defaults.
env -i SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" "$stage/$host/netmirror" --help-man >"$stage/netmirror.1"

for arch in $ARCHS; do
	export ARCH="$arch" STAGE="$stage/$arch"
	if [ "$arch" != "$host" ]; then
		mkdir "$STAGE"
		build "$arch" "$STAGE/netmirror"
	fi
	gzip -9n <"$stage/netmirror.1" >"$STAGE/netmirror.1.gz"
	for format in $FORMATS; do
		case $format in
		tar)
			name=netmirror-$VERSION-linux-$arch
			mkdir "$STAGE/$name"
			cp "$STAGE/netmirror" "$stage/netmirror.1" deploy/systemd/netmirror.service deploy/package/netmirror.conf \
				deploy/completion/netmirror.bash deploy/completion/_netmirror docs/install.md README.md LICENSE "$STAGE/$name/"
			chmod -R a+rX,u+w,go-w "$STAGE/$name"
			tar -C "$STAGE" --sort=name --format=ustar --owner=0 --group=0 --numeric-owner \
				--mtime="@$SOURCE_DATE_EPOCH" -cf - "$name" | gzip -9n >"$dist/$name.tar.gz"
			;;
		*)
			GOOS="" GOARCH="" go run "$NFPM" package --config deploy/package/nfpm.yaml \
				--packager "$format" --target "$dist/" >/dev/null
			;;
		esac
	done
done
(cd "$dist" && sha256sum -- *"$VERSION"* >SHA256SUMS)
echo "$VERSION in $dist"
