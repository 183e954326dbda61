"""What processes cost: CPU seconds and memory of all that belong to a host, by role, while a migration runs.

Read from /proc every 50 ms, for a process that ends takes its figures with it: of such a one the last 50 ms may be missing. New
ones are looked for each second, and count from their start. What a process waited for and we never saw is in its parent's figures
for ended children.
"""
import os
import pathlib
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
STEP, SCAN = 0.05, 1.0
ROLES = {"qemu": "qemu", "libvirtd": "libvirtd", "vmsecd": "vmsecd", "socat": "socat", "virsh": "client", "vmsec": "client",
         "vmsec-link": "link"}
AGENTS = ("vmsecd", "worker")


class Process:
    """One process, as it was last seen."""

    def __init__(self, pid, host, known_before):
        self.pid, self.host = pid, host
        self.first = None if known_before else (0.0, 0.0)
        self.own = self.children = 0.0
        self.parent, self.name, self.rss, self.alive = 0, "", 0, True
        self.stat = -1  # opened once, as it is read often

    def read(self):
        try:
            if self.stat < 0:
                self.stat = os.open(f"/proc/{self.pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
            text = os.pread(self.stat, 4096, 0).decode()
        except (FileNotFoundError, ProcessLookupError):
            self.end()
            return
        head, _, tail = text.rpartition(")")
        fields = tail.split()
        if fields[0] in "ZX":
            self.alive = False
        self.name, self.parent = head.partition("(")[2], int(fields[1])
        self.own = (int(fields[11]) + int(fields[12])) / TICK
        self.children = (int(fields[13]) + int(fields[14])) / TICK
        self.rss = int(fields[21]) * PAGE
        self.first = self.first or (self.own, self.children)

    def end(self):
        self.alive, self.rss = False, 0
        if self.stat >= 0:
            os.close(self.stat)
        self.stat = -1

    def used(self):
        return self.own - self.first[0] if self.first else 0.0

    def used_by_children(self):
        return self.children - self.first[1] if self.first else 0.0


def role_of(process, by_pid):
    """By its name; what descends from an agent is a module's worker, whatever its name."""
    parent = by_pid.get(process.parent)
    while parent is not None:
        if parent.name == "vmsecd":
            return "worker"
        parent = by_pid.get(parent.parent)
    name = "qemu" if process.name.startswith("qemu-system") else process.name
    return ROLES.get(name, "other")


class Sampler:
    """`find()` answers {pid: host} of the processes that belong to a host, without their descendants; `begun()` whether what
    `cpu_since_begun` is about has begun."""

    def __init__(self, find, begun=lambda: False):
        self.find, self.begun, self.by_pid, self.stopping = find, begun, {}, threading.Event()
        self.peak, self.peak_agents, self.next_scan, self.before = {}, 0, 0.0, None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._scan(known_before=True)
        self._sample()
        self.thread.start()
        return self

    def __exit__(self, *failure):
        self.stopping.set()
        self.thread.join()
        self._sample()
        for process in self.by_pid.values():
            process.end()

    def _run(self):
        while not self.stopping.wait(STEP):
            if time.monotonic() >= self.next_scan:
                self._scan(known_before=False)
            self._sample()
            if self.before is None and self.begun():
                self.before = self.cpu()

    def _scan(self, known_before):
        self.next_scan = time.monotonic() + SCAN
        hosts = dict(self.find())
        parents = parents_of_all()
        for pid in parents:
            host = hosts.get(pid) or ancestor_host(pid, parents, hosts)
            if host and pid not in self.by_pid:
                self.by_pid[pid] = Process(pid, host, known_before)

    def _sample(self):
        sums, agents = {}, {}
        for process in self.by_pid.values():
            if process.alive:
                process.read()
                role = role_of(process, self.by_pid)
                sums[role] = sums.get(role, 0) + process.rss
                if role in AGENTS:
                    agents[process.host] = agents.get(process.host, 0) + process.rss
        for role, rss in sums.items():
            self.peak[role] = max(self.peak.get(role, 0), rss)
        self.peak_agents = max(self.peak_agents, *agents.values(), 0)

    def cpu(self):
        """{host: {role: seconds}}."""
        found = {}
        for process in self.by_pid.values():
            roles = found.setdefault(process.host, {})
            role = role_of(process, self.by_pid)
            roles[role] = roles.get(role, 0.0) + process.used() + self._unseen_children(process)
        return {host: {role: round(seconds, 3) for role, seconds in roles.items()} for host, roles in found.items()}

    def cpu_since_begun(self):
        """{host: {role: seconds}}; None where begun() never was."""
        if self.before is None:
            return None
        return {host: {role: round(seconds - self.before.get(host, {}).get(role, 0.0), 3) for role, seconds in roles.items()}
                for host, roles in self.cpu().items()}

    def _unseen_children(self, process):
        seen = sum(child.used() for child in self.by_pid.values() if child.parent == process.pid and not child.alive)
        return max(0.0, process.used_by_children() - seen)


def parents_of_all():
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents[int(entry)] = int(pathlib.Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    return parents


def ancestor_host(pid, parents, hosts):
    while pid in parents:
        pid = parents[pid]
        if pid in hosts:
            return hosts[pid]
    return None


def of_namespaces(namespaces):
    """{pid: host} of all processes in network namespaces, given as {inode: host}."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            host = namespaces.get(os.stat(f"/proc/{entry}/ns/net").st_ino)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if host:
            found[int(entry)] = host
    return found


def busy_seconds():
    """Of the whole machine: user, nice, system, interrupts."""
    fields = [int(value) for value in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:8]]
    return (sum(fields) - fields[3] - fields[4]) / TICK
