#!/bin/bash
# make_eventlog.sh OUT_DIR [--ima] - makes OUT_DIR/ovmf-q35.bin and .pcrs: the event log and the PCR values of a real measured boot:
# OVMF on QEMU's q35 (TCG) with a software TPM, which starts Debian's cloud kernel; the guest sends both over its second serial port.
# With --ima the kernel measures files, too: ovmf-q35-ima.bin, .pcrs, and .list with what it has measured.
set -euo pipefail
out=${1:?usage: make_eventlog.sh OUT_DIR [--ima]} name=ovmf-q35 more=
[[ ${2:-} != --ima ]] || { name=ovmf-q35-ima more=" ima=1"; }
here=$(cd "$(dirname "$0")" && pwd)
die() { echo "make_eventlog.sh: $*" >&2; exit 1; }
ovmf=/usr/share/OVMF/OVMF_CODE_4M.fd vars=/usr/share/OVMF/OVMF_VARS_4M.fd
[[ -r $ovmf && -r $vars ]] || die "OVMF is missing: apt-get install ovmf"
for tool in qemu-system-x86_64 swtpm swtpm_setup python3; do command -v $tool > /dev/null || die "$tool is missing"; done

work=$(mktemp -d /tmp/vmsec-eventlog.XXXXXX)
tpm=
clean() {
    [[ -z $tpm ]] || kill "$tpm" 2>/dev/null || true
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

"$here/../guest/mklinux.sh" "$work/linux"
mkdir "$work/tpm"
"$here/swtpm.sh" make "$work/tpm" "$work/ca" sha1,sha256
swtpm socket --tpm2 --tpmstate dir="$work/tpm/state" --ctrl type=unixio,path="$work/tpm.sock" --log file="$work/swtpm.log" &
tpm=$!
cp "$vars" "$work/vars.fd"
for _ in {1..50}; do [[ -S $work/tpm.sock ]] && break; sleep 0.1; done

echo "make_eventlog.sh: booting (about 20 s) ..."
timeout 180 qemu-system-x86_64 -machine q35,accel=tcg -m 512 -display none -no-reboot -monitor none -nic none \
    -drive if=pflash,format=raw,unit=0,readonly=on,file="$ovmf" -drive if=pflash,format=raw,unit=1,file="$work/vars.fd" \
    -chardev socket,id=tpm,path="$work/tpm.sock" -tpmdev emulator,id=tpm0,chardev=tpm -device tpm-crb,tpmdev=tpm0 \
    -kernel "$work/linux/vmlinuz" -initrd "$work/linux/initrd.gz" -append "console=ttyS0 run=tpm$more" \
    -serial file:"$work/console.log" -serial file:"$work/report" || { tail -5 "$work/console.log" >&2; die "the boot failed"; }
grep -q "ALL SENT" "$work/report" || { tail -5 "$work/console.log" >&2; die "the guest sent no complete report"; }

mkdir -p "$out"
tr -d '\r' < "$work/report" > "$work/clean"
# section WHAT FILE: what stands between "WHAT BEGIN" and "WHAT END".
section() { sed -n "/^$1 BEGIN/,/^$1 END/{/^$1 /d;p}" "$work/clean" | base64 -d > "$work/$2"; }
section LOG $name.bin
sed -n 's/^PCR //p' "$work/clean" > "$work/$name.pcrs"
"$here/replay" --banks sha1,sha256 compare "$work/$name.bin" "$work/$name.pcrs" || die "the log does not replay to the guest's PCRs"
[[ -z $more ]] || { section IMA $name.list; [[ -s $work/$name.list ]] || die "the guest has measured no file"; mv "$work/$name.list" "$out/"; }
mv "$work/$name.bin" "$work/$name.pcrs" "$out/"
echo "make_eventlog.sh: $(stat -c %s "$out/$name.bin") bytes of log; it replays to the PCRs that the guest read (PCR 10, the kernel's, apart)"
