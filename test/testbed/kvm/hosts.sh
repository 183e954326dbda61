#!/bin/bash
# hosts.sh - two libvirt hosts, a and b, on one machine: each a libvirtd in network, mount and UTS namespaces of its own, joined by
# a veth pair, each with a software TPM. Needs root; no systemd, D-Bus or /dev/kvm.
#   hosts.sh up                    brings both up (an older pair in the same DIR is taken down first) and writes DIR/env, DIR/enter
#   hosts.sh down                  ends every process in their namespaces, removes all but DIR/last-logs; may be repeated
#   hosts.sh status                one line per host; exit 1 when one does not answer
#   hosts.sh env                   prints DIR/env (shell variables TB_...)
#   hosts.sh kill-libvirtd a|b     kill -9; its guests go on
#   hosts.sh start-libvirtd a|b    starts it again
#   hosts.sh refill-tpm a|b [LOG]  restarts the host's TPM (as a reboot would) and replays LOG into it
# Options: --dir DIR (else $VMSEC_TESTBED, else /tmp/vmsec-testbed), --index N (else $VMSEC_TESTBED_INDEX, else the first free one):
# several pairs live side by side, pair N with namespaces vt<N>a and vt<N>b and addresses 10.78.N.1 and .2.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin # libvirtd and ip, also from a plain user's shell under sudo
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
die() { echo "hosts.sh: $*" >&2; exit 1; }
usage() { sed -n '2,13s/^# \?//p' "${BASH_SOURCE[0]}" >&2; exit 2; }

dir=${VMSEC_TESTBED:-/tmp/vmsec-testbed} index=${VMSEC_TESTBED_INDEX:-} words=()
while [[ $# -gt 0 ]]; do
    case $1 in
    --dir) dir=${2:?--dir needs a directory}; shift 2 ;;
    --index) index=${2:?--index needs a number}; shift 2 ;;
    -*) usage ;;
    *) words+=("$1"); shift ;;
    esac
done
[[ ${#words[@]} -ge 1 ]] || usage
[[ $(id -u) == 0 ]] || die "must be root (network namespaces, mounts)"
dir=$(realpath -m "$dir")
log_default=$(realpath -m "$here/../../data/eventlogs/ovmf-q35.bin")

namespace() { echo "vt$(cat "$dir/index")$1"; }
uri() { echo "qemu:///system?socket=$dir/$1/run/libvirt-sock"; }
enter() { "$dir/enter" "$@"; }
check_host() { [[ ${1:-} == a || ${1:-} == b ]] || usage; [[ -x $dir/enter ]] || die "$dir: no hosts are up there"; }

need() {
    local missing=() pair
    for pair in libvirtd:libvirt-daemon virsh:libvirt-clients qemu-system-x86_64:qemu-system-x86 swtpm:swtpm swtpm_setup:swtpm-tools \
        certtool:gnutls-bin ip:iproute2 nsenter:util-linux openssl:openssl gcc:gcc ld:binutils python3:python3; do
        command -v "${pair%%:*}" > /dev/null || missing+=("${pair##*:}")
    done
    [[ ${#missing[@]} == 0 ]] || die "missing programs; apt-get install ${missing[*]}"
    find /usr/lib -path '*libvirt/connection-driver/libvirt_driver_qemu.so' 2>/dev/null | grep -q . ||
        die "apt-get install libvirt-daemon-driver-qemu"
    [[ -r $log_default ]] || die "$log_default is missing: run test/testbed/tpm/make_eventlog.sh"
    [[ ${#dir} -le 60 ]] || die "$dir: longer than 60 characters; Unix sockets' paths would not fit"
}

# libvirt looks this user up even when it runs its guests as root.
need_user() {
    getent group libvirt-qemu > /dev/null || groupadd -r libvirt-qemu
    getent passwd libvirt-qemu > /dev/null || useradd -r -g libvirt-qemu -d /var/lib/libvirt -s /usr/sbin/nologin libvirt-qemu
}

# Who owns index N: the file is made with noclobber, so only one can make it. /run is emptied by a reboot, as namespaces are.
owners=/run/vmsec-testbed
owned() { [[ -s $dir/index && $(cat "$owners/$(cat "$dir/index")" 2>/dev/null) == "$dir" ]]; }
take_index() {
    local candidates=() i
    if [[ -n $index ]]; then candidates=("$index"); else mapfile -t candidates < <(seq 0 199); fi
    for i in "${candidates[@]}"; do
        [[ ! -e /run/netns/vt${i}a && ! -e /run/netns/vt${i}b ]] || continue
        (set -o noclobber; echo "$dir" > "$owners/$i") 2>/dev/null || continue
        echo "$i" > "$dir/index"
        ip netns add "vt${i}a"
        ip netns add "vt${i}b"
        return
    done
    die "no free index; see $owners and ip netns"
}

write_config() { # HOST
    local d=$dir/$1 controllers="" c
    mkdir -p "$d"/{run,lib/mig,log/qemu,etc,tpm,swtpm-log,swtpm-localca}
    for c in cpu cpuacct cpuset memory blkio devices; do
        [[ -e /sys/fs/cgroup/$c/cgroup.procs ]] && controllers+="${controllers:+, }\"$c\""
    done
    cat > "$d/etc/libvirtd.conf" <<C
listen_tls = ${VMSEC_TESTBED_LIBVIRT_TLS:-0}
listen_tcp = 0
listen_addr = "10.78.$(cat "$dir/index").$([[ $1 == a ]] && echo 1 || echo 2)"
ca_file = "$dir/pki/qemu/$1/ca-cert.pem"
cert_file = "$dir/pki/qemu/$1/server-cert.pem"
key_file = "$dir/pki/qemu/$1/server-key.pem"
unix_sock_group = "root"
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
host_uuid = "$(uuid_of "$1")"
log_outputs = "${VMSEC_TESTBED_LOG_LEVEL:-3}:file:$d/log/libvirtd.log"
${VMSEC_TESTBED_LOG_FILTERS:+log_filters = "$VMSEC_TESTBED_LOG_FILTERS"}
C
    cat > "$d/etc/qemu.conf" <<C
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
stdio_handler = "file"
swtpm_user = "root"
swtpm_group = "root"
migrate_tls_x509_cert_dir = "$dir/pki/qemu/$1"
migrate_tls_x509_verify = 1
${controllers:+cgroup_controllers = [ $controllers ]}
C
}

uuid_of() { printf '%s-0000-4000-8000-%012d\n' "$([[ $1 == a ]] && echo aaaaaaaa || echo bbbbbbbb)" "$(cat "$dir/index")"; }

write_enter() {
    cat > "$dir/enter" <<C
#!/bin/sh
# enter a|b CMD... - runs CMD inside that host's namespaces, in the present directory.
host=\$1; shift
pid=\$(cat "$dir/\$host/holder.pid") || exit 125
exec nsenter --target "\$pid" --net --mount --uts --cgroup --wdns="\$PWD" -- "\$@"
C
    chmod +x "$dir/enter"
}

write_env() {
    local h H n=1 i
    i=$(cat "$dir/index")
    {
        echo "# Facts about this pair of hosts; source it in a shell. _A and _B are the two hosts."
        echo "export TB_DIR='$dir'"
        echo "export TB_INDEX='$i'"
        echo "export TB_ENTER='$dir/enter'  # \$TB_ENTER a CMD... runs CMD on host a"
        echo "export TB_LINK='vmsec0'  # the interface between the hosts, same name on both"
        echo "export TB_FLAT='$dir/guest/flat.elf'"
        echo "export TB_TPM_CA='$dir/pki/tpm-ca/bundle.pem'"
        for h in a b; do
            H=${h^^}
            echo "export TB_NAME_$H='vmsec-$h'"
            echo "export TB_ADDR_$H='10.78.$i.$n'"
            echo "export TB_NETNS_$H='$(namespace $h)'"
            echo "export TB_URI_$H='$(uri $h)'"
            echo "export TB_PEER_URI_$H='qemu+unix:///system?socket=$dir/$h/run/libvirt-sock'  # as --desturi of the other host"
            echo "export TB_SOCK_$H='$dir/$h/run/libvirt-sock'"
            echo "export TB_SERIAL_DIR_$H='$dir/$h/log/qemu'  # serial-NAME.log for domains of mkdom.sh"
            echo "export TB_QEMU_PID_DIR_$H='$dir/$h/run/qemu'  # NAME.pid"
            echo "export TB_LIBVIRTD_PID_$H='$dir/$h/libvirtd.pid'"
            echo "export TB_LIBVIRTD_LOG_$H='$dir/$h/log/libvirtd.log'"
            echo "export TB_LIB_DIR_$H='$dir/$h/lib'  # is /var/lib/libvirt on that host; mig/ for migration sockets"
            echo "export TB_TPM_TCTI_$H='swtpm:path=$dir/$h/tpm/sock'"
            echo "export TB_EVENTLOG_$H='$dir/$h/tpm/eventlog.bin'"
            echo "export TB_QEMU_PKI_$H='$dir/pki/qemu/$h'  # for QEMU's own TLS"
            n=$((n + 1))
        done
    } > "$dir/env"
}

start_host() { # HOST: its namespaces and mounts
    local h=$1 ns n
    ns=$(namespace "$h")
    [[ $h == a ]] && n=1 || n=2
    ip -n "$ns" link set lo up
    ip -n "$ns" addr add "10.78.$(cat "$dir/index").$n/24" dev vmsec0
    ip -n "$ns" link set vmsec0 up
    # Not "ip netns exec": it mounts a new /sys, which hides the cgroups.
    nsenter --net="/run/netns/$ns" unshare --mount --uts --propagation private \
        "$here/host_ns.sh" "$dir/$h" "$cache" "vmsec-$h" "vmsec-$ns" "$dir/hosts" > "$dir/$h/log/holder.log" 2>&1 < /dev/null &
    echo $! > "$dir/$h/holder.pid"
    disown # or bash reports its end
    for _ in {1..100}; do [[ -e $dir/$h/ready ]] && return; sleep 0.05; done
    cat "$dir/$h/log/holder.log" >&2
    die "host $h: its namespaces could not be set up"
}

start_libvirtd() { # HOST
    local listen=()
    [[ ${VMSEC_TESTBED_LIBVIRT_TLS:-0} == 0 ]] || listen=(--listen)
    enter "$1" setsid libvirtd --config /etc/libvirt/libvirtd.conf --pid-file "$dir/$1/libvirtd.pid" "${listen[@]}" \
        >> "$dir/$1/log/libvirtd.out" 2>&1 < /dev/null &
    disown
}

wait_libvirtd() { # HOST; the very first start probes QEMU's abilities for 10 to 20 s, later ones find them in the cache
    for _ in {1..300}; do
        virsh -q -c "$(uri "$1")" version > /dev/null 2>&1 && return
        sleep 0.2
    done
    tail -5 "$dir/$1/log/libvirtd.out" "$dir/$1/log/libvirtd.log" >&2 || true
    return 1
}

fill_tpm() { # HOST LOG
    cmp -s "$2" "$dir/$1/tpm/eventlog.bin" || cp "$2" "$dir/$1/tpm/eventlog.bin"
    enter "$1" "$here/../tpm/swtpm.sh" start "$dir/$1/tpm"
    for _ in {1..100}; do [[ -S $dir/$1/tpm/sock ]] && break; sleep 0.05; done
    "$here/../tpm/replay" extend "$dir/$1/tpm/sock" "$dir/$1/tpm/eventlog.bin" | sed "s/^replay:/host $1's TPM:/"
}

# Every process in a host's network namespace: libvirtd, guests, TPMs, and whatever was run there with DIR/enter.
processes() { # HOST
    local file="/run/netns/$1" p wanted
    [[ -e $file ]] || return 0
    wanted=$(stat -L -c %i "$file")
    for p in /proc/[0-9]*; do
        [[ $(stat -L -c %i "$p/ns/net" 2>/dev/null) == "$wanted" ]] && echo "${p#/proc/}"
    done
    return 0
}

kill_all() { # NAMESPACE
    local pids
    for _ in {1..50}; do
        mapfile -t pids < <(processes "$1")
        [[ ${#pids[@]} -gt 0 ]] || return 0
        kill -9 "${pids[@]}" 2>/dev/null || true
        sleep 0.1
    done
    die "processes of $1 cannot be ended: ${pids[*]}"
}

down() {
    local h ns group
    [[ -d $dir ]] || return 0
    if owned; then
        for h in a b; do
            ns=$(namespace $h)
            kill_all "$ns"
            [[ ! -e /run/netns/$ns ]] || ip netns del "$ns"
            for group in /sys/fs/cgroup/*/"vmsec-$ns"; do
                [[ -d $group && ! -L ${group%/*} ]] || continue
                find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || { sleep 0.3; find "$group" -depth -type d -exec rmdir {} + || true; }
            done
        done
        rm -f "$owners/$(cat "$dir/index")"
    fi
    for h in a b; do
        [[ -d $dir/$h ]] || continue
        mkdir -p "$dir/last-logs/$h"
        cp -r "$dir/$h/log/." "$dir/last-logs/$h/"
        cp "$dir/$h"/tpm/*.log "$dir/last-logs/$h/" 2>/dev/null || true
        rm -rf "${dir:?}/$h"
    done
    rm -rf "$dir"/{env,enter,index,hosts,pki,guest}
}

up() {
    need
    down
    rm -rf "${dir:?}/last-logs"
    need_user
    cache=${VMSEC_TESTBED_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vmsec-testbed}/libvirt
    mkdir -p "$dir/last-logs" "$cache" "$owners" /run/libvirt /var/{lib,cache,log}/libvirt /etc/libvirt /var/log/swtpm/libvirt /var/lib/swtpm-localca "$dir/guest"
    trap '[[ $? == 0 ]] || { down || true; echo "hosts.sh: up failed; logs are in $dir/last-logs" >&2; }' EXIT
    trap 'exit 130' INT TERM
    take_index
    local h i
    i=$(cat "$dir/index")
    printf '127.0.0.1 localhost\n10.78.%s.1 vmsec-a\n10.78.%s.2 vmsec-b\n' "$i" "$i" > "$dir/hosts"
    ip link add vmsec0 netns "vt${i}a" type veth peer name vmsec0 netns "vt${i}b"
    write_enter
    for h in a b; do
        write_config $h
        start_host $h
    done
    "$here/certs.sh" "$dir/pki/qemu" "10.78.$i.1" "10.78.$i.2"
    for h in a b; do start_libvirtd $h; done
    for h in a b; do
        "$here/../tpm/swtpm.sh" make "$dir/$h/tpm" "$dir/pki/tpm-ca"
        fill_tpm $h "$log_default"
    done
    "$here/../guest/build.sh" "$dir/guest/flat.elf"
    for h in a b; do wait_libvirtd $h || die "host $h: libvirtd does not answer"; done
    write_env
    echo "hosts.sh: hosts a (10.78.$i.1) and b (10.78.$i.2) are up; . $dir/env"
}

status() {
    [[ -s $dir/env ]] || { echo "down: $dir"; return 1; }
    local h bad=0
    for h in a b; do
        if timeout 10 virsh -q -c "$(uri $h)" version > /dev/null 2>&1; then
            echo "host $h: up, $(virsh -q -c "$(uri $h)" list --all | grep -c .) domain(s)"
        else
            echo "host $h: libvirtd does not answer"; bad=1
        fi
    done
    return $bad
}

host=${words[1]:-}
case ${words[0]} in
up) up ;;
down) down ;;
status) status ;;
env) cat "$dir/env" ;;
kill-libvirtd)
    check_host "$host"
    pid=$(cat "$dir/$host/libvirtd.pid" 2>/dev/null || true)
    [[ -n $pid && $(cat "/proc/$pid/comm" 2>/dev/null) == libvirtd ]] || die "host $host: no libvirtd runs"
    kill -9 "$pid"
    for _ in {1..50}; do [[ -d /proc/$pid ]] || break; sleep 0.02; done
    ;;
start-libvirtd)
    check_host "$host"
    start_libvirtd "$host"
    wait_libvirtd "$host" || die "host $host: libvirtd does not answer"
    ;;
refill-tpm)
    check_host "$host"
    "$here/../tpm/swtpm.sh" stop "$dir/$host/tpm"
    fill_tpm "$host" "${words[2]:-$log_default}"
    ;;
*) usage ;;
esac
