#!/bin/bash
# images.sh OUT_DIR - what a Xen host in emulation boots from, made of Debian's own packages (unpacked, not installed):
#   OUT_DIR/xen.elf      the hypervisor          OUT_DIR/vmlinux   dom0's and guests' kernel, uncompressed
#   OUT_DIR/dom0.cpio.gz dom0's file system      OUT_DIR/guest.cpio.gz  a guest's
#   OUT_DIR/still        a kernel that stands still (still.S)
# Downloads about 80 MB once, into a cache directory (VMSEC_TESTBED_CACHE, else ~/.cache/vmsec-testbed).
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
out=${1:?usage: images.sh OUT_DIR}
here=$(cd "$(dirname "$0")" && pwd)
die() { echo "images.sh: $*" >&2; exit 1; }
for tool in busybox cpio dpkg-deb apt-get depmod modprobe ldd objdump python3; do
  command -v $tool >/dev/null || die "$tool is missing (script/bootstrap test installs it)"
done
ldd "$(command -v busybox)" >/dev/null 2>&1 && die "busybox is not static: apt-get install busybox-static"

cache=${VMSEC_TESTBED_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vmsec-testbed}
root=$cache/xen
fetch() {
  local download kernel
  mkdir -p "$cache"
  download=$(mktemp -d "$cache/download.XXXXXX")
  trap 'rm -rf "$download"' RETURN
  kernel=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '/Depends: linux-image-/ {print $2; exit}')
  [[ -n $kernel ]] || die "no kernel package known: run apt-get update"
  (cd "$download" && apt-get download -o APT::Sandbox::User=root \
    xen-hypervisor-4.17-amd64 xen-utils-4.17 xen-utils-common xenstore-utils bash-static "$kernel" >apt.log 2>&1) ||
    { tail -3 "$download/apt.log" >&2; die "cannot download Xen's packages"; }
  for package in "$download"/*.deb; do dpkg-deb -x "$package" "$download/root"; done
  (cd "$download" && echo *.deb) >"$download/root/complete"
  rm -rf "$root"
  mv "$download/root" "$root" # complete or not there
}
[[ -e $root/complete && -e $root/bin/bash-static ]] || fetch
mkdir -p "$out"
release=$(ls "$root/lib/modules")
zcat "$root"/boot/xen-4.17-amd64.gz >"$out/xen.elf"
python3 "$here/extract_vmlinux.py" "$root/boot/vmlinuz-$release" "$out/vmlinux"

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
pack() { (cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible | gzip -1) >"$2"; }

# ---- kernel modules, with what they depend on ----
install_modules() {  # TREE MODULE...
  local to=$1 module file
  shift
  for module in "$@"; do
    modprobe -d "$root" -S "$release" --show-depends "$module" 2>/dev/null | awk '/^insmod/ {print $2}'
  done | sort -u | while read -r file; do
    mkdir -p "$to/$(dirname "${file#"$root"}")"
    cp "$file" "$to/${file#"$root"}"
  done
  mkdir -p "$to/lib/modules/$release"
  cp "$root/lib/modules/$release"/modules.{order,builtin,builtin.modinfo} "$to/lib/modules/$release/"
  depmod -b "$to" "$release"
}
depmod -b "$root" "$release"

# ---- a guest ----
mkdir -p "$tree"/guest/{bin,proc,sys,dev,tmp}
cp "$(command -v busybox)" "$tree/guest/bin/busybox"
cp "$here/guest_init" "$tree/guest/init"
gcc -O1 -static -s -o "$tree/guest/bin/guest_load" "$here/guest_load.c"
install_modules "$tree/guest" xen-blkfront xen-netfront
pack "$tree/guest" "$out/guest.cpio.gz"
gcc -c -m64 -o "$tree/still.o" "$here/still.S"
ld -z noexecstack --no-warn-rwx-segments -m elf_x86_64 -nostdlib -N --build-id=none -Ttext=0x100000 --section-start=.note.Xen=0x100040 -o "$out/still" "$tree/still.o"

# ---- dom0 ----
dom0=$tree/dom0
bin=usr/lib/xen-4.17/bin
mkdir -p "$dom0"/{bin,sbin,proc,sys,dev,tmp,run,mnt/host,boot,etc/xen/scripts,var/lib/xen,var/lib/xenstored,var/log/xen,root} \
  "$dom0"/usr/{bin,sbin} "$dom0/$bin" "$dom0/lib/x86_64-linux-gnu" "$dom0/lib64"
ln -s ../run "$dom0/var/run"
ln -s ../run/lock "$dom0/var/lock"
cp "$(command -v busybox)" "$dom0/bin/busybox"
for program in xl xenstored xenconsoled libxl-save-helper xen-init-dom0; do cp "$root/$bin/$program" "$dom0/$bin/"; done
ln -s "../../$bin/xl" "$dom0/usr/sbin/xl"
cp "$root/usr/bin/xenstore" "$dom0/usr/bin/"
for name in ls read write list rm exists watch; do ln -s xenstore "$dom0/usr/bin/xenstore-$name"; done
: >"$dom0/etc/xen/xl.conf"
printf 'root:x:0:0:root:/root:/bin/sh\n' >"$dom0/etc/passwd"
printf 'root:x:0:\n' >"$dom0/etc/group"
cp "$here/dom0_init" "$dom0/init"
cp "$root"/etc/xen/scripts/* "$dom0/etc/xen/scripts/"
# What Xen's scripts for disks and network cards call beside busybox.
for program in losetup flock stat ip tc bridge; do cp -L "$(command -v $program)" "$dom0/sbin/"; done
# In emulation each process takes a tenth of a second to begin, half of it to link what it needs; libxl gives a script 10 s.
cp "$root/bin/bash-static" "$dom0/bin/bash"
ln -s bash "$dom0/bin/sh" # busybox's own would take its commands before those in PATH
ln -s ../bin/busybox "$dom0/sbin/modprobe" # the kernel's own calls
"$here/libraries.sh" "$dom0" "$dom0/$bin"/* "$dom0/usr/bin/xenstore" "$dom0"/sbin/*
# libpthread opens it when a thread is cancelled.
cp -L "$(gcc -print-file-name=libgcc_s.so.1)" "$dom0/lib/x86_64-linux-gnu/"
install_modules "$dom0" xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs xen-netback xen-blkback loop \
  virtio_pci virtio_net 9p 9pnet_virtio bridge tun ifb act_mirred sch_tbf sch_htb sch_ingress act_police cls_u32 cls_matchall
pack "$dom0" "$out/dom0.cpio.gz"
cp "$root/complete" "$out/packages"
