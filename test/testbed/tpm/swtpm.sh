#!/bin/bash
# swtpm.sh - one software TPM 2.0 with endorsement keys and certificates, as a manufacturer would deliver it.
#   swtpm.sh make DIR CA_DIR [BANKS]  new TPM in DIR; certificates by the local CA in CA_DIR (made when it is not there)
#   swtpm.sh start DIR                runs it on the Unix socket DIR/sock (TCTI swtpm:path=DIR/sock), started up, PCRs empty
#   swtpm.sh stop DIR
set -euo pipefail
die() { echo "swtpm.sh: $*" >&2; exit 1; }
usage() { sed -n '2,5s/^# \?//p' "$0" >&2; exit 2; }
[[ $# -ge 2 ]] || usage
action=$1
dir=$(realpath -m "$2")  # swtpm changes its folder

case $action in
make)
    ca=${3:?CA_DIR is missing} banks=${4:-sha256}
    mkdir -p "$dir/state" "$ca"
    ca=$(cd "$ca" && pwd)
    cat > "$ca/localca.conf" <<C
statedir = $ca
signingkey = $ca/signkey.pem
issuercert = $ca/issuercert.pem
certserial = $ca/certserial
C
    cat > "$ca/localca.options" <<C
--platform-manufacturer vmsec
--platform-version 1
--platform-model testbed
C
    cat > "$ca/setup.conf" <<C
create_certs_tool = $(command -v swtpm_localca || die "swtpm_localca is missing: apt-get install swtpm-tools")
create_certs_tool_config = $ca/localca.conf
create_certs_tool_options = $ca/localca.options
active_pcr_banks = $banks
C
    swtpm_setup --tpm2 --tpmstate "$dir/state" --config "$ca/setup.conf" --createek --create-ek-cert --create-platform-cert --ecc \
        --pcr-banks "$banks" --lock-nvram --vmid "$(basename "$(dirname "$dir")")" --overwrite > "$dir/setup.log" 2>&1 ||
        { tail -20 "$dir/setup.log" >&2; die "swtpm_setup failed"; }
    # What a verifier trusts: the root and the CA that signed the EK certificates.
    cat "$ca/issuercert.pem" "$ca/swtpm-localca-rootca-cert.pem" > "$ca/bundle.pem"
    ;;
start)
    rm -f "$dir/sock" "$dir/sock.ctrl"
    swtpm socket --tpm2 --tpmstate dir="$dir/state" --server type=unixio,path="$dir/sock" --ctrl type=unixio,path="$dir/sock.ctrl" \
        --flags not-need-init,startup-clear --pid file="$dir/pid" --log file="$dir/swtpm.log,level=1" --daemon
    ;;
stop)
    [[ -s $dir/pid ]] || exit 0
    pid=$(cat "$dir/pid")
    kill "$pid" 2>/dev/null || true
    for _ in {1..50}; do [[ -d /proc/$pid ]] || break; sleep 0.05; done
    kill -9 "$pid" 2>/dev/null || true
    rm -f "$dir/pid" "$dir/sock" "$dir/sock.ctrl"
    ;;
*) usage ;;
esac
