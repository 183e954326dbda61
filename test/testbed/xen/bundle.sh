#!/bin/bash
# bundle.sh BUILD_DIR|PREFIX OUT.cpio - what runs in dom0: vmsec, vmsecd, the Xen plugin and all modules of a build, or of where it was
# installed, at /opt/vmsec, with the libraries that they need, and a software TPM. The modules' code is the build's, byte for byte.
# Of a build also the conformance suite; and programs and plugin are stripped. The plugin is so signed again, by the key that the build
# signs with (VMSEC_SIGNING_KEY of its cache). What was installed is copied as it is.
set -euo pipefail
[ $# = 2 ] || { sed -n '2,5s/^# \?//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
from=$(cd "$1" && pwd) out=$2
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
to=$tree/opt/vmsec
mkdir -p "$to"/{bin,lib/vmsec/plugins,lib/vmsec/modules} "$tree/sbin" "$tree/bin"
library=$(find "$from/lib" -type d -path '*/vmsec/plugins' -printf '%h\n') # lib/vmsec, or in a folder of the architecture's
[ -e "$library/plugins/xen.so" ] || { echo "bundle.sh: $from has no Xen plugin (Debian: libxen-dev)" >&2; exit 1; }
cp -L "$library"/../libvmsec.so.[0-9] "$to/lib/"
cp "$library"/{vmsec-worker,trust.toml} "$to/lib/vmsec/"
cp "$library"/plugins/xen.so{,.sig} "$to/lib/vmsec/plugins/"
cp "$library"/modules/*.so "$library"/modules/*.so.sig "$to/lib/vmsec/modules/"
take_build() {
  local key
  cp "$from"/bin/{vmsec,vmsecd} "$from/test/vmsec-conformance" "$to/bin/"
  cp "$from/test/trust.toml" "$to/"  # the operator's
  strip -g "$to"/bin/* "$to"/lib/libvmsec.so* "$to/lib/vmsec/plugins/xen.so" "$to/lib/vmsec/vmsec-worker"
  key=$(sed -n 's/^VMSEC_SIGNING_KEY:[A-Z]*=//p' "$from/CMakeCache.txt")
  "$here/../../../script/sign_object" plugin "$to/lib/vmsec/plugins/xen.so" "${key:-$from/signing.key}" vmsec-build
}
take_installed() {
  cp "$from/bin/vmsec" "$from/sbin/vmsecd" "$to/bin/"
  cp "$from/share/vmsec/examples/two_hosts/trust.toml" "$to/"
}
if [ -e "$from/sbin/vmsecd" ]; then take_installed; else take_build; fi
for program in swtpm tpm2_pcrextend; do # of swtpm and tpm2-tools
  if command -v $program >/dev/null; then cp -L "$(command -v $program)" "$tree/sbin/"; fi
done
LD_LIBRARY_PATH=$to/lib "$here/libraries.sh" "$tree" "$to"/bin/* "$to/lib/vmsec/vmsec-worker" "$to"/lib/vmsec/*/*.so "$tree"/sbin/* \
  "$(gcc -print-file-name=libtss2-tcti-swtpm.so.0)" "$(gcc -print-file-name=libtss2-tcti-device.so.0)"
cp -L "$(gcc -print-file-name=libtss2-tcti-swtpm.so.0)" "$tree/lib/x86_64-linux-gnu/" 2>/dev/null || true
rm -f "$tree"/lib/x86_64-linux-gnu/libvmsec.so*
(cd "$tree" && find . | LC_ALL=C sort | cpio -o -H newc --quiet) >"$out"
