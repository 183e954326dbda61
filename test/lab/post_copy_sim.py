#!/usr/bin/env python3
"""Post-copy between two agents on the simulated hypervisor: a guest that never converges moves. Needs no root.

    post_copy_sim.py BUILD_DIR [--keep]

The guest writes faster than the migration's bandwidth. Pre-copy gives up; post-copy moves it there and back, and each page of it is checked.
A destination whose operator has not accepted what post-copy may cost refuses it.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab import program  # noqa: E402
from lab.move import MIGRATION_ALONE, Mover  # noqa: E402
from lab.report import Report  # noqa: E402
from lab.sim import HOSTS, SimLab  # noqa: E402
from lab.sim_memory import wrong_pages  # noqa: E402

A, B = HOSTS
NAME = "web-hot"
MEMORY = 48 << 20
SEED = 42
DOMAIN = f"""\
name = "{NAME}"
uuid = "0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e07"
memory = "{MEMORY >> 20} MiB"
vcpus = 2
seed = {SEED}
[workload]
pattern = "uniform"
dirty_rate = 20000
fill = 0.9
"""
LIMITS = ("--bandwidth", "40MB/s", "--max-downtime", "1ms")
ACCEPTED = {"migration": {"attestation": "none", "post_copy": "accept-loss"}}
REFUSED = {"migration": {"attestation": "none"}}


class PostCopy:
    def __init__(self, folder, build):
        self.folder = pathlib.Path(folder)
        self.report = Report("vmsec: a simulated guest runs at its destination while its memory follows")
        self.lab = SimLab(folder, build)
        self.mover = Mover(self.lab, folder)

    def start(self, modules):
        for agent in self.lab.agents.values():
            agent.stop()
        for host in HOSTS:
            self.lab.modules = modules[host]
            self.lab.configure(host, self.folder / "policy.toml").start()

    def refused(self, what, status, word):
        self.report.check(what, f"{status['state']}: ... {status['cause'][-70:]}", status["state"] == "failed" and word in status["cause"],
                          f"failed: {word}")
        self.report.check("the guest runs on", "yes", self.lab.runs_on(A, NAME))

    def move(self, source, destination):
        self.report.section(f"Post-copy, {source} to {destination}")
        status = self.mover.migrate(NAME, source, destination, "--post-copy", *LIMITS)
        self.report.check("migration", f"{status['state']} {status['cause']}", status["state"] == "completed", "completed")
        self.report.check("streams", status["streams"], status["streams"] == 3, "3: control, main, urgent")
        self.report.check("the guest's ticks go on", "yes", self.lab.runs_on(destination, NAME))
        self.report.check("the source has it no more", "yes", self.lab.agents[source].domain(NAME) is None)
        filled, wrong = wrong_pages(self.lab.agents[destination].pid(), MEMORY, SEED)
        self.report.check("pages with content, and wrong ones", f"{filled}, {len(wrong)}", filled > 10_000 and not wrong, "> 10000, 0")

    def run(self):
        with self.lab:
            (self.folder / "policy.toml").write_text(MIGRATION_ALONE)
            self.lab.define(A, NAME, DOMAIN)
            self.start({A: ACCEPTED, B: REFUSED})
            self.report.section("Pre-copy alone, and an operator who has not accepted what post-copy may cost")
            self.refused("given up after 4 s", self.mover.migrate(NAME, A, B, *LIMITS, "--max-time", "4s"), "maximum time")
            self.refused("refused", self.mover.migrate(NAME, A, B, "--post-copy", *LIMITS), "accept-loss")
            self.start({A: ACCEPTED, B: ACCEPTED})
            self.move(A, B)
            self.move(B, A)
        return self.report.print()


if __name__ == "__main__":
    program.run(__doc__, "vmsec-post-copy-", lambda folder, build: PostCopy(folder, build).run())
