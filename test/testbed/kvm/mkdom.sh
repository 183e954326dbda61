#!/bin/bash
# mkdom.sh - prints the libvirt domain XML of a test guest (the flat guest unless --kernel says otherwise).
#   --name NAME --mem MiB [--cmdline TEXT] [--kernel FILE] [--initrd FILE] [--vcpus N [--max-vcpus N]] [--machine M]
#   [--disk RAW_FILE]...  virtio, cache=none, read-only (libvirt migrates nothing else from a local file system)
#   [--writable-disk RAW_FILE]...  the same, writable (migrates only with VIR_MIGRATE_UNSAFE or with its storage)
#   [--tap DEV [--mac MAC]]  virtio NIC on a tap that libvirt makes
#   [--vtpm]  TPM 2.0 of the guest's own          [--no-memfd]  private memory (default: a shared memfd, which can be mapped)
#   [--prefault]  QEMU touches all of its memory when it starts, at a destination before it receives
# The kernel defaults to $TB_FLAT (DIR/env of hosts.sh). The UUID follows from the name. Serial output is appended to
# serial-NAME.log in the host's TB_SERIAL_DIR. Domain type qemu: works without /dev/kvm.
set -euo pipefail
usage() { sed -n '2,11s/^# \?//p' "$0" >&2; exit 2; }
name="" mem="" cmdline="" kernel=${TB_FLAT:-${VMSEC_TESTBED:-/tmp/vmsec-testbed}/guest/flat.elf} initrd="" vcpus=1 max_vcpus="" machine=pc-i440fx-7.2 tap="" mac="" vtpm="" memfd=1 prefault="" disks=()
while [[ $# -gt 0 ]]; do
    case $1 in
    --vtpm) vtpm=1; shift; continue ;;
    --no-memfd) memfd=""; shift; continue ;;
    --prefault) prefault=1; shift; continue ;;
    esac
    [[ $# -ge 2 ]] || usage
    case $1 in
    --name) name=$2 ;; --mem) mem=$2 ;; --cmdline) cmdline=$2 ;; --kernel) kernel=$2 ;; --initrd) initrd=$2 ;;
    --vcpus) vcpus=$2 ;; --max-vcpus) max_vcpus=$2 ;; --machine) machine=$2 ;; --disk) disks+=("$2<readonly/>") ;; --writable-disk) disks+=("$2<>") ;; --tap) tap=$2 ;; --mac) mac=$2 ;;
    *) usage ;;
    esac
    shift 2
done
[[ -n $name && -n $mem ]] || usage
[[ -r $kernel ]] || { echo "mkdom.sh: no kernel: source DIR/env of hosts.sh, or give --kernel" >&2; exit 1; }
escape() { sed "s/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/'/\&apos;/g" <<< "$1"; }
hash=$(printf %s "$name" | md5sum)
uuid=${hash:0:8}-${hash:8:4}-4${hash:13:3}-8${hash:17:3}-${hash:20:12}

backing=${memfd:+<source type=\'memfd\'/><access mode=\'shared\'/>}${prefault:+<allocation mode=\'immediate\'/>}
cat <<X
<domain type='qemu'>
  <name>$(escape "$name")</name>
  <uuid>$uuid</uuid>
  <memory unit='MiB'>$mem</memory>
${backing:+  <memoryBacking>$backing</memoryBacking>
}  <vcpu current='$vcpus'>${max_vcpus:-$vcpus}</vcpu>
  <os>
    <type arch='x86_64' machine='$machine'>hvm</type>
    <kernel>$(escape "$(realpath "$kernel")")</kernel>
${initrd:+    <initrd>$(escape "$(realpath "$initrd")")</initrd>
}    <cmdline>$(escape "$cmdline")</cmdline>
  </os>
  <features><acpi/></features>
  <on_poweroff>destroy</on_poweroff><on_reboot>destroy</on_reboot><on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <serial type='file'><source path='/var/log/libvirt/qemu/serial-$(escape "$name").log' append='on'/></serial>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
X
letters=abcdefghijklmnopqrstuvwxyz
for i in "${!disks[@]}"; do
    file=${disks[$i]%<*} mode=${disks[$i]##*<}
    [[ $mode == ">" ]] && mode="" || mode="<$mode"
    cat <<X
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/><source file='$(escape "$(realpath "$file")")'/>
      <target dev='vd${letters:$i:1}' bus='virtio'/>$mode
    </disk>
X
done
[[ -z $tap ]] || cat <<X
    <interface type='ethernet'>
      <mac address='${mac:-52:54:00:${hash:0:2}:${hash:2:2}:${hash:4:2}}'/><target dev='$tap' managed='yes'/><model type='virtio'/>
    </interface>
X
[[ -z $vtpm ]] || echo "    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
printf '  </devices>\n</domain>\n'
