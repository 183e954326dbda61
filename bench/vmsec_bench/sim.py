"""Migrations between two simulated hosts: only vmsec's ways, and of vmsec's own parts only."""
import pathlib
import shutil
import time

from lab.agent import wait_for
from lab.sim import HOSTS, SimLab, free_port

from . import migration, processes
from .kvm import cost
from .relay import LinkRelay

A, B = HOSTS
GUEST = "bench"
PAGE = 4096
DOMAIN = """\
name = "bench"
uuid = "0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e02"
memory = "{memory} MiB"
vcpus = 1
seed = {seed}
[workload]
pattern = "{pattern}"
dirty_rate = {pages}
hot_fraction = {hot}
fill = {fill}
"""


class SimBench:
    """A pair of hosts whose agents begin anew for each cell. Use as a context."""

    def __init__(self, folder, build, seed):
        self.folder, self.build, self.seed = pathlib.Path(folder), pathlib.Path(build), seed
        self.lab = SimLab(folder, build)
        self.block = self.link = None
        self.tickets = 0

    def __enter__(self):
        self.lab.__enter__()
        (self.folder / "policy.toml").write_text(migration.POLICY)
        return self

    def __exit__(self, *failure):
        self._leave_link()
        self.lab.__exit__(*failure)

    def begin(self, block):
        self._leave_link()
        self.block = block
        if block.link == "none":
            return
        listen, to = f"127.0.0.1:{free_port()}", f"127.0.0.1:{self.lab.ports[B]}"
        self.link = LinkRelay(self.build / "bench/vmsec-link", block.link, [(listen, to)], seed=self.seed)
        self.link.start()
        self.lab.peer_addresses = {B: listen}

    def _leave_link(self):
        if self.link:
            self.link.stop()
        self.link, self.lab.peer_addresses = None, {}

    def _start(self, settings):
        for agent in self.lab.agents.values():
            agent.stop()
        for host in HOSTS:
            shutil.rmtree(self.folder / host / "state", ignore_errors=True)
        self.lab.modules = {"migration": migration.MODULE | settings}
        block = self.block
        self.lab.define(A, GUEST, DOMAIN.format(
            memory=block.memory, seed=self.seed, pattern=block.pattern if block.dirty_rate else "idle",
            pages=block.dirty_rate * (1 << 20) // PAGE, hot=block.dirty_set / 100, fill=block.fill / 100))
        self.lab.start_agents(self.folder / "policy.toml")
        wait_for("the guest", lambda: self.lab.cpu_time(A, GUEST) > 0, 30)

    def run(self, way, settings):
        self._start(settings)
        self.tickets += 1
        ticket = self.lab.pki.ticket(self.lab.agents[A], GUEST, A, B, self.folder / f"ticket-{self.tickets}")
        hosts = {self.lab.agents[host].pid(): host for host in HOSTS}
        with processes.Sampler(lambda: hosts) as sampler:
            busy, start = processes.busy_seconds(), time.monotonic()
            status = migration.migrate(self.lab.agents[A], GUEST, B, ticket, way, self.block.max_downtime)
            seconds, busy = time.monotonic() - start, processes.busy_seconds() - busy
        return {"command_s": seconds, "busy_s": busy, **cost(sampler), **from_status(status)}


def from_status(status):
    """No libvirt counts here, and no guest prints ticks: these are vmsec's own words."""
    transfer = status["total_time"] / 1e6
    return {"transfer_s": transfer, "wire_bytes": status["bytes_sent"], "moved_bytes": status["guest_bytes"],
            "throughput": status["guest_bytes"] / transfer if transfer else None, "downtime_s": status["downtime"] / 1e6,
            "iterations": status["transfer"]["iteration"], "vmsec": migration.reported(status)}

