#!/bin/bash
# mklinux.sh OUT_DIR - a small Linux guest: OUT_DIR/vmlinuz (Debian's cloud kernel, unpacked, not installed) and OUT_DIR/initrd.gz
# (busybox). For what the flat guest cannot do: a NIC, a TPM, a file system. Downloads about 30 MB once, into a cache directory
# (VMSEC_TESTBED_CACHE, else ~/.cache/vmsec-testbed).
# Kernel command line: console=ttyS0 run=WHAT
#   blk    read /dev/vda, print "blk bytes=N ms=N" for each round       tx     eth0 gets ip=A.B.C.D/N, sends to tx=IP port 5001
#   tpm    write the event log and the PCRs to /dev/ttyS1, power off     idle   (default) only ticks
#          with ima=1 IMA's list, too, of programs, files, a violation and the kernel's own data
set -euo pipefail
out=${1:?usage: mklinux.sh OUT_DIR}
die() { echo "mklinux.sh: $*" >&2; exit 1; }
for tool in busybox cpio dpkg-deb apt-get; do command -v $tool > /dev/null || die "$tool is missing"; done
# A dynamically linked busybox would not start in an initramfs without libraries.
ldd "$(command -v busybox)" > /dev/null 2>&1 && die "busybox is not static: apt-get install busybox-static"

cache=${VMSEC_TESTBED_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vmsec-testbed}
if [[ ! -e $cache/kernel/complete ]]; then
    mkdir -p "$cache"
    download=$(mktemp -d "$cache/download.XXXXXX")
    trap 'rm -rf "$download"' EXIT
    package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '/Depends: linux-image-/ && !found++ {print $2}')
    [[ -n $package ]] || die "no kernel package known: run apt-get update"
    (cd "$download" && apt-get download -o APT::Sandbox::User=root "$package" > apt.log 2>&1) ||
        { tail -3 "$download/apt.log" >&2; die "cannot download $package"; }
    dpkg-deb -x "$download"/*.deb "$download/kernel"
    echo "$package $(basename "$download"/*.deb)" > "$download/kernel/complete"
    rm -rf "$cache/kernel"
    mv "$download/kernel" "$cache/kernel" # complete or not there
fi

mkdir -p "$out"
cp "$cache"/kernel/boot/vmlinuz-* "$out/vmlinuz"
root=$(mktemp -d)
trap 'rm -rf "$root" "${download:-}"' EXIT
mkdir -p "$root"/{bin,dev,proc,sys,tmp,mods}
cp "$(command -v busybox)" "$root/bin/busybox"
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk failover net_failover virtio_net; do
    find "$cache/kernel/lib/modules" -name "$module.ko" -exec cp {} "$root/mods/" \;
done
cat > "$root/init" <<'I'
#!/bin/busybox sh
/bin/busybox mkdir -p /sbin /usr/bin /usr/sbin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t securityfs sec /sys/kernel/security 2>/dev/null
for m in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk failover net_failover virtio_net; do
    [ -f /mods/$m.ko ] && insmod /mods/$m.ko
done
run=idle ip= tx= ima=
for a in $(cat /proc/cmdline); do case $a in run=*|ip=*|tx=*|ima=*) export "$a"; eval "${a%%=*}=${a#*=}";; esac; done
echo "GUEST up $(cut -d' ' -f1 /proc/uptime)"
ms() { tr -d . < /proc/uptime | awk '{print $1 * 10}'; }
blk() {
    while :; do
        echo 3 > /proc/sys/vm/drop_caches
        a=$(ms); n=$(dd if=/dev/vda bs=256k count=80 2>/dev/null | wc -c); b=$(ms)
        echo "blk bytes=$n ms=$((b - a))"
    done
}
net_tx() {
    ip link set eth0 up
    ip addr add "$ip" dev eth0
    while :; do dd if=/dev/zero bs=64k count=2000 2>/dev/null | nc "$tx" 5001; sleep 1; done
}
# What the kernel's own files say is nobody's program: proc, sysfs, securityfs, devtmpfs' terminals.
measure() {
    for magic in 0x9fa0 0x62656572 0x73636673 0x1cd1; do echo "dont_measure fsmagic=$magic"; done > /tmp/policy
    for what in BPRM_CHECK "FILE_MMAP mask=MAY_EXEC" MODULE_CHECK "FILE_CHECK mask=^MAY_READ uid=0" CRITICAL_DATA; do
        echo "measure func=$what"
    done >> /tmp/policy
    cat /tmp/policy > /sys/kernel/security/ima/policy
    echo one > /tmp/a.conf; echo two > "/tmp/with a space"
    cat /tmp/a.conf "/tmp/with a space" > /dev/null
    echo three >> /tmp/a.conf; cat /tmp/a.conf > /dev/null # measured again
    (exec 3> /tmp/open; cat /tmp/open) > /dev/null # read while it is written to: a violation
    cp /bin/busybox /bin/tool; dd if=/dev/zero bs=1 count=1 2>/dev/null >> /bin/tool; /bin/tool true
}
tpm() {
    [ -z "$ima" ] || measure
    t=/sys/kernel/security/tpm0/binary_bios_measurements
    {
        echo "LOG BEGIN"; base64 $t; echo "LOG END"
        for bank in sha1 sha256; do
            for i in $(seq 0 23); do
                f=/sys/class/tpm/tpm0/pcr-$bank/$i
                [ -f $f ] && echo "PCR $bank $i $(tr A-F a-f < $f)"
            done
        done
        [ -z "$ima" ] || { echo "IMA BEGIN"; base64 /sys/kernel/security/ima/binary_runtime_measurements; echo "IMA END"; }
        echo "ALL SENT"
    } > /tmp/report
    stty -F /dev/ttyS1 raw -echo 115200
    cat /tmp/report > /dev/ttyS1
    sleep 1
    poweroff -f
}
case $run in blk) blk & ;; tx) net_tx & ;; tpm) tpm ;; esac
n=0
while :; do n=$((n + 1)); echo "tick $n"; sleep 0.1; done
I
chmod +x "$root/init"
(cd "$root" && find . -exec touch -d @0 {} + && find . | LC_ALL=C sort | cpio -o -H newc --reproducible --quiet | gzip -n -1) > "$out/initrd.gz"
