#!/bin/bash
# capture.sh - records every byte on the link between the two hosts, on host a's end of it.
#   capture.sh start OUT.pcap   returns when the recording runs
#   capture.sh stop OUT.pcap    ends it, writes OUT.pcap.stats (KEY=NUMBER) and prints it; exit 3 when packets were lost
# Options: --dir DIR: the testbed (else $VMSEC_TESTBED, else /tmp/vmsec-testbed).
# link_packets and link_bytes are the interface's own counters over the same time: an independent witness for completeness.
set -euo pipefail
die() { echo "capture.sh: $*" >&2; exit 1; }
usage() { sed -n '2,5s/^# \?//p' "$0" >&2; exit 2; }
dir=${VMSEC_TESTBED:-/tmp/vmsec-testbed} words=()
while [[ $# -gt 0 ]]; do
    case $1 in
    --dir) dir=${2:?}; shift 2 ;;
    -*) usage ;;
    *) words+=("$1"); shift ;;
    esac
done
[[ ${#words[@]} == 2 ]] || usage
out=$(realpath -m "${words[1]}")
[[ -r $dir/env ]] || die "$dir: no hosts are up there"
# shellcheck source=/dev/null
. "$dir/env"
command -v tcpdump > /dev/null || die "tcpdump is missing: apt-get install tcpdump"

counters() { # sum of both directions
    # shellcheck disable=SC2016 # expands on the host
    "$TB_ENTER" a sh -c 'cd /sys/class/net/$0/statistics && cat rx_packets tx_packets rx_bytes tx_bytes' "$TB_LINK" |
        tr '\n' ' ' | awk '{print $1 + $2, $3 + $4}'
}

case ${words[0]} in
start)
    rm -f "$out" "$out.stats"
    # -B: 256 MiB between kernel and tcpdump, so that a burst at full speed is not lost while the disk is slow.
    "$TB_ENTER" a setsid tcpdump -i "$TB_LINK" -n -s 262144 -B 262144 -Z root -w "$out" > "$out.log" 2>&1 < /dev/null &
    echo $! > "$out.pid"
    for _ in {1..100}; do
        grep -q "listening on" "$out.log" 2>/dev/null && { counters > "$out.begin"; exit 0; }
        [[ -d /proc/$(cat "$out.pid") ]] || break
        sleep 0.05
    done
    cat "$out.log" >&2
    die "tcpdump did not start"
    ;;
stop)
    [[ -s $out.pid && -s $out.begin ]] || die "$out is not being recorded"
    pid=$(cat "$out.pid")
    read -r packets_after bytes_after < <(counters)
    # What is in the buffer is lost when tcpdump ends: wait until the file rests.
    size=-1
    for _ in {1..100}; do
        sleep 1.1 # tcpdump's read timeout is a second
        now=$(stat -c %s "$out")
        [[ $now != "$size" ]] || break
        size=$now
    done
    kill -TERM "$pid" 2>/dev/null || true
    for _ in {1..200}; do [[ -d /proc/$pid ]] || break; sleep 0.05; done
    read -r packets_before bytes_before < "$out.begin"
    {
        sed -n 's/^\([0-9]*\) packets\? captured$/captured=\1/p; s/^\([0-9]*\) packets\? received by filter$/received=\1/p
            s/^\([0-9]*\) packets\? dropped by kernel$/dropped=\1/p; s/^\([0-9]*\) packets\? dropped by interface$/interface_dropped=\1/p' "$out.log"
        echo "link_packets=$((packets_after - packets_before))"
        echo "link_bytes=$((bytes_after - bytes_before))"
    } > "$out.stats"
    rm -f "$out.pid" "$out.begin"
    cat "$out.stats"
    number() { sed -n "s/^$1=//p" "$out.stats"; }
    [[ -n $(number captured) && -n $(number dropped) ]] || die "tcpdump left no statistics; see $out.log"
    # The counters were read at other moments than tcpdump's, so a few packets more in the capture are right; fewer are not.
    [[ $(number dropped) == 0 && $(number captured) -ge $(number link_packets) ]] || { echo "capture.sh: packets were lost" >&2; exit 3; }
    ;;
*) usage ;;
esac
