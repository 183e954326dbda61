#!/bin/bash
# mkagent.sh OUT_DIR VMSEC_GUEST - a Linux guest that has nothing but the agent for attestation: OUT_DIR/vmlinuz and OUT_DIR/initrd.img
# (not compressed: a byte can be changed in it, and it is as long as before). It prints "SECRET NAME SHA-256" on ttyS0 for
# each secret that comes. In initrd.img lies a file "spare" that is all dots: to change one byte of what is measured, and nothing else.
set -euo pipefail
out=${1:?usage: mkagent.sh OUT_DIR VMSEC_GUEST} agent=${2:?usage: mkagent.sh OUT_DIR VMSEC_GUEST}
here=$(cd "$(dirname "$0")" && pwd)
die() { echo "mkagent.sh: $*" >&2; exit 1; }
[[ -x $agent ]] || die "$agent: no program"

"$here/mklinux.sh" "$out"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
gzip -dc "$out/initrd.gz" | (cd "$root" && cpio -id --quiet)
rm "$out/initrd.gz"
cache=${VMSEC_TESTBED_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vmsec-testbed}
find "$cache/kernel/lib/modules" -name virtio_console.ko -exec cp {} "$root/mods/" \;
cp "$agent" "$root/bin/vmsec-guest"
tcti=$(ldconfig -p | awk '/libtss2-tcti-device\.so\.0 .*x86-64/ && !found++ {print $NF}')
[[ -n $tcti ]] || die "libtss2-tcti-device is missing: apt-get install libtss2-tcti-device0"
# The agent's libraries, and what tpm2-tss loads by name.
ldd "$agent" "$tcti" | awk '$2 == "=>" {print $3} $1 ~ /^\// && NF == 2 {print $1}' | sort -u | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
cp -L "$tcti" "$root$(dirname "$(ldd "$agent" | awk '/libtss2-esys/ {print $3}')")/libtss2-tcti-device.so.0"
printf '%064d' 0 | tr 0 . > "$root/spare"
cat > "$root/init" <<'I'
#!/bin/busybox sh
/bin/busybox mkdir -p /sbin /usr/bin /usr/sbin /run
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t securityfs sec /sys/kernel/security
for m in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_console; do
    [ -f /mods/$m.ko ] && insmod /mods/$m.ko
done
vmsec-guest --secrets /run/secrets &
echo "GUEST up $(cut -d' ' -f1 /proc/uptime)"
while :; do
    for f in /run/secrets/*; do
        [ -f "$f" ] || continue
        echo "SECRET ${f##*/} $(sha256sum < "$f" | cut -d' ' -f1)"
        rm "$f"
    done
    sleep 0.1
done
I
chmod +x "$root/init"
(cd "$root" && find . -exec touch -d @0 {} + && find . | LC_ALL=C sort | cpio -o -H newc --reproducible --quiet) > "$out/initrd.img"
