#!/bin/sh
# Installs what the tests use beside Go, where something of it is missing.
set -eu
PATH=$PATH:/usr/sbin:/sbin
missing=""
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need gcc "gcc libc6-dev"
need nginx nginx-light
need curl curl
need nft nftables
need ip iproute2
need chromium chromium
# for capture files
need tcpdump tcpdump
need editcap wireshark-common
# to install the packages on
need systemctl systemd
need rpm rpm
# for the container image
need buildah buildah
need runc runc
# for the function that follows auto scaling groups
/usr/bin/python3 -c 'import boto3' 2>/dev/null || missing="$missing python3-boto3"
# for the alert rules
promtool=""
command -v promtool >/dev/null 2>&1 || promtool=" promtool"
[ -z "$missing$promtool" ] && exit 0
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
	echo "make test needs:$missing$promtool. Install them, or run it as root on Debian, where it installs them itself." >&2
	exit 1
fi
echo "installing$missing$promtool"
apt-get update -qq
if [ -n "$promtool" ]; then # alone: the package that it is in starts a server
	dir=$(mktemp -d)
	(cd "$dir" && apt-get -o APT::Sandbox::User=root download -qq prometheus && dpkg-deb -x prometheus_*.deb . && install usr/bin/promtool /usr/local/bin/)
	rm -rf "$dir"
fi
[ -z "$missing" ] && exit 0
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
