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
  trap 'rm -f "$initrd"' EXIT
fi
rm -f "$share/rc"
# +npt: Xen has nested pages to log a guest's writes with; without, it migrates nothing live.
status=0
timeout "${XEN_LIMIT:-3600}" qemu-system-x86_64 -accel tcg,thread=multi -machine q35 -cpu qemu64,+npt -smp "${XEN_CPUS:-2}" \
  -m "${XEN_MEMORY:-1536}" -nodefaults -display none -no-reboot -serial "file:$share/console.log" -kernel "$images/xen.elf" \
  -append "dom0_mem=${dom0}M,max:${dom0}M dom0_max_vcpus=1 console=com1 com1=115200,8n1 spec-ctrl=no xpti=no" \
  -initrd "$images/vmlinux console=hvc0 mitigations=off panic=1,$initrd" \
  -virtfs "local,path=$share,mount_tag=host,security_model=none,multidevs=remap" "$@" </dev/null || status=$?
if [ ! -s "$share/rc" ]; then
  tail -20 "$share/console.log" >&2 || true
  echo "boot.sh: the host ended without a result (QEMU: $status)" >&2
  exit 125
fi
exit "$(cat "$share/rc")"
