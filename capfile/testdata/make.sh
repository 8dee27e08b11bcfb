#!/bin/bash
# Makes the capture files that the tests read, and beside each what tshark reads in it
# (time, length, captured length), with the programs of wireshark-common, gzip and zstd.
set -euo pipefail
cd "$(dirname "$0")"
export TZ=UTC
rm -f *.pcap *.pcapng *.gz *.zst *.tshark

# Four packets of a TCP connection from 192.0.2.1:40000 to 198.51.100.2:80, two within
# one millisecond.
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
line() { echo "$1 000000 $(printf '%s' "$2" | xxd -p -c 256 | sed 's/../& /g')"; }
{ line 2024-03-01T10:00:00.000001 'GET / HTTP/1.1'
  line 2024-03-01T10:00:00.000700 'Host: a.example'
  line 2024-03-01T10:00:00.250000 'X-Padding: 0123456789012345678901234567890123456789'
  line 2024-03-01T10:00:01.999999 'end'; } > "$tmp/text"
text2pcap -q -F pcapng -t ISO -T 40000,80 -4 192.0.2.1,198.51.100.2 "$tmp/text" "$tmp/all.pcapng"

editcap -F pcap    "$tmp/all.pcapng" micro.pcap
editcap -F nsecpcap -t 0.000000123 "$tmp/all.pcapng" nano.pcap
editcap -F modpcap "$tmp/all.pcapng" modified.pcap
cp "$tmp/all.pcapng" simple.pcapng
editcap -F pcap -s 60 "$tmp/all.pcapng" snaplen.pcap
editcap -F pcap -C 14 -L -T rawip "$tmp/all.pcapng" raw.pcap

# Other link layers: their headers in front of the IP packets.
layer() { # name link-type header
  tshark -r raw.pcap -T json -x 2>/dev/null | python3 -c '
import json, sys
for p in json.load(sys.stdin):
    h = sys.argv[1] + p["_source"]["layers"]["frame_raw"][0]
    print(sys.argv[2], "000000", " ".join(h[i:i+2] for i in range(0, len(h), 2)))' \
  "$3" 2024-03-01T10:00:00.000001 > "$tmp/layer"
  text2pcap -q -F pcap -t ISO -l "$2" "$tmp/layer" "$1"
}
layer sll.pcap  113 00000001000602000000000100000800
layer sll2.pcap 276 0800000000000002000100060200000000010000
layer null.pcap   0 02000000
layer loop.pcap 108 00000002

# Two interfaces with other link layers and time resolutions, and two sections.
mergecap -I none -F pcapng -w mixed.pcapng micro.pcap nano.pcap sll2.pcap
cat simple.pcapng mixed.pcapng > sections.pcapng

gzip -n -c micro.pcap > micro.gz
zstd -q -c simple.pcapng > simple.zst
head -c 220 micro.pcap > half.pcap
head -c 60 micro.gz > half.gz

for f in *.pcap *.pcapng *.gz *.zst; do
  tshark -r "$f" -T fields -e frame.time_epoch -e frame.len -e frame.cap_len > "$f.tshark" 2>/dev/null || true
done
