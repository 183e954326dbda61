#!/bin/bash
# selftest.sh - does the testbed itself work? Brings both hosts up, migrates a flat guest in plaintext, and checks that the tick
# watcher, the capture and the marker search see what they must see; also that each of them can fail. About 40 s.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d /tmp/vmsec-self.XXXXXX)
export VMSEC_TESTBED=$work/tb
watcher=""
clean() {
    local code=$?
    trap - EXIT INT TERM
    [[ -z $watcher ]] || kill "$watcher" 2>/dev/null || true
    "$here/kvm/hosts.sh" down || true
    if [[ $code == 0 ]]; then rm -rf "$work"; else echo "selftest.sh: FAILED ($code); logs are in $work" >&2; fi
    exit "$code"
}
trap clean EXIT
trap 'exit 130' INT TERM

checks=0
ok() { checks=$((checks + 1)); echo "ok $checks - $*"; }
fail() { echo "not ok - $*" >&2; exit 1; }
now_ms() { date +%s%3N; }
await() { # SECONDS PATTERN FILE
    for _ in $(seq $(($1 * 10))); do grep -q "$2" "$3" 2>/dev/null && return; sleep 0.1; done
    fail "no '$2' in $3 within $1 s"
}

begin=$(now_ms)
"$here/kvm/hosts.sh" up
# shellcheck source=/dev/null
. "$VMSEC_TESTBED/env"
ok "two hosts are up after $(($(now_ms) - begin)) ms"
for h in a b; do [[ $("$TB_ENTER" $h hostname) == vmsec-$h ]] || fail "enter $h does not reach host $h"; done
"$TB_ENTER" a busybox ping -c 1 -W 2 "$TB_ADDR_B" > /dev/null || fail "host a does not reach host b"
ok "programs run inside the hosts, and a reaches b"

"$here/tpm/replay" expect "$TB_EVENTLOG_B" > "$work/want"
"$here/tpm/replay" read "$TB_DIR/b/tpm/sock" > "$work/got"
cmp -s "$work/want" "$work/got" || fail "host b's PCRs are not those of its event log"
TPM2TOOLS_TCTI=$TB_TPM_TCTI_B tpm2_pcrread sha256:0 > "$work/tools"
grep -qi "$(awk '$2 == 0 {print $3}' "$work/want")" "$work/tools" || fail "tpm2_pcrread differs"
"$here/tpm/replay" tamper 4 "$TB_EVENTLOG_B" "$work/tampered.bin"
"$here/kvm/hosts.sh" refill-tpm b "$work/tampered.bin" > /dev/null
"$here/tpm/replay" read "$TB_DIR/b/tpm/sock" > "$work/got"
[[ $(diff "$work/want" "$work/got" | grep -c '^>') == 1 ]] || fail "a changed measurement did not change exactly one PCR"
"$here/kvm/hosts.sh" refill-tpm b > /dev/null
ok "the TPMs hold the event log's PCRs; one changed byte changes one PCR"

marker="selftest-$RANDOM$RANDOM"
truncate -s 64M "$work/disk.img"
"$here/kvm/mkdom.sh" --name flat --mem 128 --disk "$work/disk.img" --cmdline "marker=$marker dirty=16 rate=8 disk=1 cpu=1" > "$work/flat.xml"
virsh -q -c "$TB_URI_A" create "$work/flat.xml" > /dev/null
log_a=$TB_SERIAL_DIR_A/serial-flat.log log_b=$TB_SERIAL_DIR_B/serial-flat.log
"$here/kvm/watch_ticks.py" --json "$log_a" "$log_b" > "$work/ticks.json" &
watcher=$!
await 20 "verify ok pass=1" "$log_a"
await 5 "^loops [1-9]" "$log_a"
await 5 "^disk bytes=[1-9]" "$log_a"
ok "the guest fills 112 MiB, verifies them, computes and reads its disk"

"$here/kvm/hosts.sh" kill-libvirtd a
"$here/kvm/hosts.sh" status > /dev/null && fail "host a answers without libvirtd"
before=$(grep -c ^tick "$log_a")
sleep 0.5
[[ $(grep -c ^tick "$log_a") -gt $before ]] || fail "the guest stopped with libvirtd"
"$here/kvm/hosts.sh" start-libvirtd a
[[ $(virsh -q -c "$TB_URI_A" domstate flat) == running ]] || fail "libvirtd did not find its guest again"
ok "a guest outlives kill -9 of its libvirtd, which finds it again"

"$here/net/capture.sh" start "$work/link.pcap"
begin=$(now_ms)
"$TB_ENTER" a virsh -q -c "$TB_URI_A" migrate --live --p2p flat --desturi "$TB_PEER_URI_B" --migrateuri "tcp://$TB_ADDR_B"
took=$(($(now_ms) - begin))
sleep 1
"$here/net/capture.sh" stop "$work/link.pcap" > /dev/null || fail "the capture lost packets: $(tr '\n' ' ' < "$work/link.pcap.stats")"
ok "a live migration took $took ms, and the capture lost nothing: $(tr '\n' ' ' < "$work/link.pcap.stats")"
begin=$(now_ms)
"$here/net/find_marker.py" "$work/link.pcap" --marker "$marker" --stats "$work/link.pcap.stats" --min-bytes 100000000 --expect present > "$work/found" ||
    { cat "$work/found" >&2; fail "marker search"; }
ok "the marker is found in plaintext ($(grep ^markers: "$work/found"); searched in $(($(now_ms) - begin)) ms)"
"$here/net/find_marker.py" "$work/link.pcap" --marker "$marker" --expect absent > /dev/null && fail "the search for absence cannot fail"
"$here/net/find_marker.py" "$work/link.pcap" --marker "not-$marker" --expect absent > /dev/null || fail "a marker that nobody wrote was found"
head -c 50000000 "$work/link.pcap" > "$work/cut.pcap"
"$here/net/find_marker.py" "$work/cut.pcap" --marker "$marker" --stats "$work/link.pcap.stats" > /dev/null && fail "a cut capture passes"
ok "the search fails where it must: expected absent, cut capture"

passes=$(grep -c "verify ok" "$log_b" || true)
await 20 "verify ok pass=" "$log_b"
sleep 2
kill -TERM "$watcher"
code=0
wait "$watcher" || code=$?
watcher=""
[[ $code == 0 ]] || { cat "$work/ticks.json" >&2; fail "tick watcher: exit $code"; }
ok "the guest never ran on both hosts ($passes+ verified passes at b): $(cut -c 1-400 "$work/ticks.json")"
sed 's/\r//' "$log_a" | grep ^tick | tail -3 > "$work/copy" # as if the source had gone on
cat "$log_b" >> "$work/copy"
code=0
"$here/kvm/watch_ticks.py" --for 0 --settle 0.3 "$log_a" "$work/copy" > /dev/null || code=$?
[[ $code == 4 ]] || fail "a tick printed on both hosts was not noticed (exit $code)"
ok "a tick on both hosts is noticed"

# One bit of the guest's memory is changed from outside, through the memfd that holds it.
python3 - "$(cat "$TB_QEMU_PID_DIR_B/flat.pid")" <<'PY'
import os, sys
fds = f"/proc/{sys.argv[1]}/fd"
path = next(f"{fds}/{n}" for n in os.listdir(fds) if "memory-backend-memfd" in os.readlink(f"{fds}/{n}"))
fd = os.open(path, os.O_RDWR)
at = (100 << 20) + 5
os.pwrite(fd, bytes([os.pread(fd, 1, at)[0] ^ 1]), at)
PY
await 10 "verify BAD addr=0x06400004" "$log_b"
code=0
"$here/kvm/watch_ticks.py" --for 0 --settle 0.5 "$log_a" "$log_b" > /dev/null || code=$?
[[ $code == 5 ]] || fail "damaged memory was not noticed (exit $code)"
ok "one changed bit of memory is noticed by the guest, with its address"

"$here/kvm/hosts.sh" down
"$here/kvm/hosts.sh" down
ip netns | grep -qw "vt${TB_INDEX}a" && fail "a namespace was left"
compgen -G "/sys/fs/cgroup/*/vmsec-vt${TB_INDEX}?" > /dev/null && fail "a cgroup was left"
ok "down leaves nothing, and can be repeated"
echo "selftest.sh: $checks checks passed"
