"""Migrations between two libvirt hosts in network namespaces (test/testbed/kvm)."""
import os
import pathlib
import subprocess
import time

from lab.agent import wait_for
from lab.kvm import HOSTS, KvmLab

from . import kvm_peers, machine, migration, processes
from .kvm_peers import GUEST, PORTS
from .relay import LinkRelay
from .ticks import PERIOD, TickWatch

A, B = HOSTS
BEGUN = 1 << 20  # bytes on the wire: past all handshakes, and before any memory to speak of


class KvmBench:
    """One pair of hosts for all blocks. Use as a context."""

    def __init__(self, folder, build, seed):
        self.folder, self.build, self.seed = pathlib.Path(folder), pathlib.Path(build), seed
        os.environ["VMSEC_TESTBED_LIBVIRT_TLS"] = "1"
        self.lab = KvmLab(folder, build)
        self.block = self.told = self.link = None
        self.tickets = 0

    def __enter__(self):
        self.lab.__enter__()
        try:
            (self.folder / "policy.toml").write_text(migration.POLICY)
            for side in "ab":
                self._set_congestion_control(side)
            self.namespaces = {os.stat(f"/run/netns/{self.lab.side(host, 'NETNS')}").st_ino: host for host in HOSTS}
        except BaseException:  # a context that was not entered is not left by the caller
            self.lab.__exit__()
            raise
        return self

    def _set_congestion_control(self, side):
        setting = f"net.ipv4.tcp_congestion_control={machine.congestion_control()}"
        done = subprocess.run([*self.lab.env["TB_ENTER"].split(), side, "sysctl", "-q", "-w", setting], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"host {side}: {setting}: {done.stderr.strip()}")

    def __exit__(self, *failure):
        self._leave_link()
        self.lab.__exit__(*failure)

    # ---- what a cell needs --------------------------------------------------

    def begin(self, block):
        """The block's link."""
        self._leave_link()
        self.block, self.told = block, None
        if block.link == "none":
            return
        routes = [(f"127.0.0.1:{port}", f"{self.lab.side(B, 'ADDR')}:{port}") for port in PORTS.values()]
        enter = [*self.lab.env["TB_ENTER"].split(), "a"]
        self.link = LinkRelay(self.build / "bench/vmsec-link", block.link, routes, enter, self.seed)
        self.link.start()

    def _leave_link(self):
        if self.link:
            self.link.stop()
        self.link = None

    def address(self, service):
        """Where the source reaches a service of the destination: (address, port)."""
        return "127.0.0.1" if self.link else self.lab.side(B, "ADDR"), PORTS[service]

    def _tell_agents(self, settings):
        """Restarts the agents where the module's settings or the peer's address are others."""
        if self.told == settings:
            return
        for agent in self.lab.agents.values():
            agent.stop()
        self.lab.modules = {"migration": migration.MODULE | settings}
        self.lab.peer_addresses = {B: ":".join(map(str, self.address("vmsec")))}
        self.lab.start_agents(self.folder / "policy.toml")
        self.told = settings

    def _start_guest(self):
        block = self.block
        data = 16 + (block.memory - 16) * block.fill // 100
        words = [f"mem={data}", "verify=0", f"tick={round(PERIOD * 1000)}"]
        if block.dirty_rate:
            words += [f"dirty={max(1, data * block.dirty_set // 100)}", f"rate={block.dirty_rate}"]
        self.lab.remove_domain(GUEST)
        # Answers at its first tick: its memory is filled. Both QEMUs touch theirs before the clock starts: the first touch of a page costs
        # more than its way here does.
        self.lab.create_domain(A, GUEST, block.memory, " ".join(words), more=["--prefault"])
        if block.max_downtime:
            self.lab.virsh(A, "migrate-setmaxdowntime", GUEST, str(block.max_downtime))

    def ticket(self):
        self.tickets += 1
        return self.lab.pki.ticket(self.lab.agents[A], GUEST, A, B, self.folder / f"ticket-{self.tickets}")

    # ---- a cell -------------------------------------------------------------

    def run(self, way, settings):
        """The figures of one migration."""
        self._tell_agents(settings if way.kind == "vmsec" else self.told or {})
        self._start_guest()
        carrier = kvm_peers.carrier(self, way)
        with TickWatch(self.lab.serial(A, GUEST), self.lab.serial(B, GUEST)) as ticks:
            wire = self._wire_bytes()
            sampler = processes.Sampler(lambda: processes.of_namespaces(self.namespaces), lambda: self._wire_bytes() - wire >= BEGUN)
            with carrier, sampler:
                busy, start = processes.busy_seconds(), time.monotonic()
                status = carrier.migrate()
                seconds, busy, wire = time.monotonic() - start, processes.busy_seconds() - busy, self._wire_bytes() - wire
            wait_for("the guest at its destination", lambda: self.lab.runs_on(B, GUEST), 20)
        figures = {"command_s": seconds, "busy_s": busy, "wire_bytes": wire, **ticks.gaps(start), **cost(sampler), **self._job()}
        if way.kind != "vmsec":
            return figures | {"rss_agents": None}  # they were idle
        return figures | {"vmsec": migration.reported(status)}

    def _wire_bytes(self):
        """Both directions of the interface between the hosts; every byte that goes through a link passes there too."""
        holder = (self.folder / "tb/a/holder.pid").read_text().strip()
        for line in pathlib.Path(f"/proc/{holder}/net/dev").read_text().splitlines():
            name, _, counters = line.partition(":")
            if name.strip() == self.lab.env["TB_LINK"]:
                return int(counters.split()[0]) + int(counters.split()[8])
        raise migration.MigrationFailed("the interface between the hosts is gone")

    def _job(self):
        """libvirt's and QEMU's own figures of the migration that the destination has received."""
        job = {}
        for line in self.lab.virsh(B, "domjobinfo", GUEST, "--completed", "--rawstats").splitlines():
            key, _, value = line.partition(":")
            if value.strip().lstrip("-").isdigit():
                job[key.strip()] = int(value)
        return from_job(job)


def cost(sampler):
    """CPU seconds of both ends, and memory. The link and this program are no part of either end."""
    whole, transfer = sampler.cpu(), sampler.cpu_since_begun()
    return {"cpu": whole, "cpu_s": total(whole), "transfer_cpu": transfer, "transfer_cpu_s": total(transfer), "rss": sampler.peak,
            "rss_agents": sampler.peak_agents}


def total(cpu):
    return cpu and round(sum(seconds for roles in cpu.values() for role, seconds in roles.items() if role != "link"), 3)


def from_job(job):
    """From libvirt's job statistics: times there are in milliseconds. The job's time also holds the start of QEMU at the
    destination. QEMU's own total time is not in there, but its rate over it is, so the bytes tell the time."""
    elapsed, setup = job["time_elapsed"] / 1e3, job.get("setup_time", 0) / 1e3
    moved, rate = job.get("memory_processed", 0), job.get("memory_bps", 0)
    transfer = moved / rate if rate else elapsed - setup
    return {"transfer_s": transfer, "job_s": elapsed, "setup_s": setup, "moved_bytes": moved,
            "throughput": moved / transfer if transfer else None, "iterations": job.get("memory_iteration"),
            "hypervisor_downtime_s": job.get("downtime", 0) / 1e3, "job": job}
