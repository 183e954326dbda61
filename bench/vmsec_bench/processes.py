"""What processes cost: CPU seconds and memory of all that belong to a host, by role, while a migration runs.

Read from /proc every 50 ms, for a process that ends takes its figures with it: of such a one the last 50 ms may be missing. What
a process waited for and we never saw is in its parent's figures for ended children.
"""
import os
import pathlib
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
STEP, SCAN = 0.05, 0.2
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

    def read(self):
        try:
            text = pathlib.Path(f"/proc/{self.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            self.alive, self.rss = False, 0
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
    """`find()` answers {pid: host} of the processes that belong to a host, without their descendants."""

    def __init__(self, find):
        self.find, self.by_pid, self.stopping = find, {}, threading.Event()
        self.peak, self.peak_agents, self.next_scan = {}, 0, 0.0
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

    def _run(self):
        while not self.stopping.wait(STEP):
            if time.monotonic() >= self.next_scan:
                self._scan(known_before=False)
            self._sample()

    def _scan(self, known_before):
        self.next_scan = time.monotonic() + SCAN
        hosts = dict(self.find())
        parents = parents_of_all()
        for pid in parents:
            host = hosts.get(pid) or ancestor_host(pid, parents, hosts)
            if host and pid not in self.by_pid:
                self.by_pid[pid] = Process(pid, host, known_before)

    def _sample(self):
        sums = {}
        for process in self.by_pid.values():
            if process.alive:
                process.read()
                role = role_of(process, self.by_pid)
                sums[role] = sums.get(role, 0) + process.rss
        for role, rss in sums.items():
            self.peak[role] = max(self.peak.get(role, 0), rss)
        self.peak_agents = max(self.peak_agents, sum(sums.get(role, 0) for role in AGENTS))

    def cpu(self):
        """{host: {role: seconds}}."""
        found = {}
        for process in self.by_pid.values():
            roles = found.setdefault(process.host, {})
            role = role_of(process, self.by_pid)
            roles[role] = roles.get(role, 0.0) + process.used() + self._unseen_children(process)
        return {host: {role: round(seconds, 3) for role, seconds in roles.items()} for host, roles in found.items()}

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
