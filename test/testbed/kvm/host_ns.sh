#!/bin/bash
# host_ns.sh HOST_DIR CACHE_DIR NAME GROUP HOSTS_FILE - first process in a host's namespaces (hosts.sh starts it): gives the host
# file systems of its own, then holds the namespaces until it is killed. The mounts are private, so they vanish with it.
set -euo pipefail
dir=$1 cache=$2 name=$3 group=$4 hosts=$5

hostname "$name"

# /sys anew, so that it shows this network namespace's interfaces; the cgroup mounts are kept.
mkdir -p "$dir/cgroup-aside"
mount --rbind /sys/fs/cgroup "$dir/cgroup-aside"
mount -t sysfs sysfs /sys
mount --move "$dir/cgroup-aside" /sys/fs/cgroup
mount -t securityfs securityfs /sys/kernel/security 2>/dev/null || true

# Each cgroup controller shows only this host's own group, so two libvirtd do not meet in /machine.
for controller in /sys/fs/cgroup/*/; do
    controller=${controller%/}
    [[ -f $controller/cgroup.procs && ! -L $controller ]] || continue
    [[ $(stat -f -c %T "$controller") == cgroup*fs ]] || continue # the unified hierarchy's is cgroup2fs
    mkdir -p "$controller/$group"
    for file in cpuset.cpus cpuset.mems; do # an empty cpuset takes no process
        [[ ! -f $controller/$file ]] || cat "$controller/$file" > "$controller/$group/$file"
    done
    echo $$ > "$controller/$group/cgroup.procs" # the group becomes this host's root: see the last line
    mount --bind "$controller/$group" "$controller"
done

# No system bus: libvirtd would otherwise register its guests with the real machine's systemd.
[[ ! -d /run/dbus ]] || mount -t tmpfs tmpfs /run/dbus

mount --bind "$dir/run" /run/libvirt
mount --bind "$dir/lib" /var/lib/libvirt
mount --bind "$dir/log" /var/log/libvirt
mount --bind "$dir/etc" /etc/libvirt
mount --bind "$cache" /var/cache/libvirt
mount --bind "$dir/swtpm-log" /var/log/swtpm/libvirt
mount --bind "$dir/swtpm-localca" /var/lib/swtpm-localca
mount --bind "$hosts" /etc/hosts # a name that does not resolve costs libvirt seconds

# A cgroup namespace of its own: else a restarted libvirtd does not find its guests' groups again.
exec unshare --cgroup sh -c 'touch "$1/ready" && exec sleep infinity' sh "$dir"
