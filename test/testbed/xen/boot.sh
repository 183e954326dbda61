#!/bin/bash
# boot.sh IMAGES SHARE [QEMU_OPTION...] - boots a Xen host in emulation, which runs SHARE/run.sh in dom0 and powers off; exits with
# run.sh's code. SHARE is /mnt/host there. The console goes to SHARE/console.log.
#   XEN_CPUS (2), XEN_MEMORY (1536 MiB, of all), XEN_DOM0_MEMORY (640 MiB), XEN_LIMIT (3600 s), XEN_ARCHIVE: a cpio archive that is
#   unpacked over dom0's file system
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,6s/^# \?//p' "$0" >&2; exit 2; }
images=$1 share=$2
shift 2
dom0=${XEN_DOM0_MEMORY:-640}
initrd=$images/dom0.cpio.gz
if [ -n "${XEN_ARCHIVE:-}" ]; then
  initrd=$share/.initrd
  cp "$images/dom0.cpio.gz" "$initrd"
  truncate -s %4 "$initrd" # the kernel wants the next archive at a multiple of 4
  cat "$XEN_ARCHIVE" >>"$initrd"
fi
rm -f "$share/rc" "$share/.qemu.pid"
# +npt: Xen has nested pages to log a guest's writes with; without, it migrates nothing live. +aes and what goes with it: OpenSSL's
# AES-GCM is twice as fast in emulation.
status=0
timeout "${XEN_LIMIT:-3600}" qemu-system-x86_64 -name xen,debug-threads=on -accel tcg,thread=multi -machine q35 \
  -cpu qemu64,+npt,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+pclmulqdq -smp "${XEN_CPUS:-2}" \
  -m "${XEN_MEMORY:-1536}" -nodefaults -display none -no-reboot -pidfile "$share/.qemu.pid" \
  -serial "file:$share/console.log" -kernel "$images/xen.elf" \
  -append "dom0_mem=${dom0}M,max:${dom0}M dom0_max_vcpus=1 console=com1 com1=115200,8n1 spec-ctrl=no xpti=no" \
  -initrd "$images/vmlinux console=hvc0 mitigations=off panic=1,$initrd" \
  -virtfs "local,path=$share,mount_tag=host,security_model=none,multidevs=remap" "$@" </dev/null &
running=$!
trap 'kill "$running" 2>/dev/null || true; rm -f "$share/.initrd" "$share/.qemu.pid"' EXIT
trap 'exit 143' INT TERM
# The first CPU is dom0's, for which everybody waits, libxl's own limits too; guests take what it leaves of the machine.
last="CPU $((${XEN_CPUS:-2} - 1))/TCG"
tasks=/proc/none
until grep -qsxF "$last" "$tasks"/*/comm || ! kill -0 "$running" 2>/dev/null; do
  sleep 0.1
  if [ -s "$share/.qemu.pid" ]; then tasks=/proc/$(cat "$share/.qemu.pid" || true)/task; fi
done
for thread in "$tasks"/*; do
  case $(cat "$thread/comm") in
    "CPU 0/"*) ;;
    "CPU "*) renice -n 10 -p "${thread##*/}" >/dev/null || true ;;
  esac
done
wait "$running" || status=$?
if [ ! -s "$share/rc" ]; then
  tail -20 "$share/console.log" >&2 || true
  echo "boot.sh: the host ended without a result (QEMU: $status)" >&2
  exit 125
fi
exit "$(cat "$share/rc")"
