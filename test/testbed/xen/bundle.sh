#!/bin/bash
# bundle.sh BUILD_DIR OUT.cpio - what runs in dom0: vmsec, vmsecd, the Xen plugin, all modules and the conformance suite, installed at
# /opt/vmsec and stripped, with the libraries that they need, and a software TPM. The modules' code is the build's, byte for byte: they
# are not stripped. The Xen plugin is, and so signed again, by the key that the build signs with (VMSEC_SIGNING_KEY of its cache).
set -euo pipefail
[ $# = 2 ] || { sed -n '2,4s/^# \?//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd) out=$2
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
to=$tree/opt/vmsec
mkdir -p "$to"/{bin,lib/vmsec/plugins,lib/vmsec/modules} "$tree/sbin" "$tree/bin"
[ -e "$build/lib/vmsec/plugins/xen.so" ] || { echo "bundle.sh: $build has no Xen plugin (Debian: libxen-dev)" >&2; exit 1; }
cp -L "$build"/lib/libvmsec.so.[0-9] "$to/lib/"
cp "$build"/bin/{vmsec,vmsecd} "$build/test/vmsec-conformance" "$to/bin/"
cp "$build/lib/vmsec/vmsec-worker" "$to/lib/vmsec/"
cp "$build/lib/vmsec/plugins/xen.so" "$to/lib/vmsec/plugins/"
cp "$build"/lib/vmsec/modules/*.so "$build"/lib/vmsec/modules/*.so.sig "$to/lib/vmsec/modules/"
cp "$build/lib/vmsec/trust.toml" "$to/lib/vmsec/"
cp "$build/test/trust.toml" "$to/"  # the operator's
strip -g "$to"/bin/* "$to"/lib/libvmsec.so* "$to/lib/vmsec/plugins/xen.so" "$to/lib/vmsec/vmsec-worker"
key=$(sed -n 's/^VMSEC_SIGNING_KEY:[A-Z]*=//p' "$build/CMakeCache.txt")
"$here/../../../script/sign_object" plugin "$to/lib/vmsec/plugins/xen.so" "${key:-$build/signing.key}" vmsec-build
for program in swtpm tpm2_pcrextend; do # of swtpm and tpm2-tools
  if command -v $program >/dev/null; then cp -L "$(command -v $program)" "$tree/sbin/"; fi
done
LD_LIBRARY_PATH=$to/lib "$here/libraries.sh" "$tree" "$to"/bin/* "$to/lib/vmsec/vmsec-worker" "$to"/lib/vmsec/*/*.so "$tree"/sbin/* \
  "$(gcc -print-file-name=libtss2-tcti-swtpm.so.0)" "$(gcc -print-file-name=libtss2-tcti-device.so.0)"
cp -L "$(gcc -print-file-name=libtss2-tcti-swtpm.so.0)" "$tree/lib/x86_64-linux-gnu/" 2>/dev/null || true
rm -f "$tree"/lib/x86_64-linux-gnu/libvmsec.so*
(cd "$tree" && find . | LC_ALL=C sort | cpio -o -H newc --quiet) >"$out"
