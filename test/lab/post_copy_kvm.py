#!/usr/bin/env python3
"""Post-copy between two libvirt hosts: a guest that never converges moves, and what a page costs it that is still behind.

    post_copy_kvm.py BUILD_DIR [--keep]

The guest rewrites most of its memory, in no order, faster than the migration may send it, and says how long it waited for each page. Pre-copy
gives up; post-copy moves it, and back, with AES-128-GCM and with no encryption in turn. Its whole memory is checked from inside afterwards.
Then what goes wrong: a host whose operator has not accepted what post-copy may cost; and a destination's agent that dies while the memory
follows, or a link that is cut: the guest is taken up, and whole at the destination; or it must not run at the source until it is said to be
lost, and is started anew. Needs root.
"""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab import program  # noqa: E402
from lab.agent import wait_for  # noqa: E402
from lab.kvm import HOSTS, KvmLab  # noqa: E402
from lab.move import MIGRATION_ALONE, Mover  # noqa: E402
from lab.report import Report  # noqa: E402

A, B = HOSTS
GUEST = "web-hot"
MEMORY = 96  # MiB
LARGE = "web-large"  # its memory follows for some seconds: time to break it
LARGE_MEMORY = 640
SLOW = "20MB/s"
ROUNDS = 3
CIPHERS = ("aes-128-gcm", "none")


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0


class PostCopy:
    def __init__(self, folder, build):
        self.folder = pathlib.Path(folder)
        self.report = Report("vmsec: a guest runs at its destination while its memory follows")
        self.policy = {"encryption": "allow-none", "attestation": "none", "post_copy": "accept-loss", "switch_timeout": "10 s"}
        self.lab = KvmLab(folder, build, {"migration": self.policy})
        self.mover = Mover(self.lab, folder)
        self.waits = {cipher: [] for cipher in CIPHERS}
        self.downtimes = {cipher: [] for cipher in CIPHERS}

    def serial(self, host, guest=GUEST):
        return self.lab.serial_text(host, guest)

    def refused(self, what, status, word):
        self.report.check(what, f"{status['state']}: ... {status['cause'][-70:]}", status["state"] == "failed" and word in status["cause"],
                          f"failed: {word}")
        self.report.check("the guest runs on", "yes", self.lab.runs_on(A, GUEST))

    def pre_copy(self):
        self.report.section("Pre-copy alone")
        self.refused("given up after 8 s", self.mover.migrate(GUEST, A, B, "--bandwidth", SLOW, "--max-downtime", "1ms", "--max-time", "8s"),
                     "maximum time")

    def move(self, source, destination, cipher):
        seen = len(self.serial(destination))
        status = self.mover.migrate(GUEST, source, destination, "--post-copy", "--bandwidth", SLOW, "--max-downtime", "1ms", "--cipher", cipher)
        self.report.check(f"{source} to {destination}, {cipher}", f"{status['state']} {status['cause']}", status["state"] == "completed",
                          "completed")
        self.report.check("the guest's ticks go on", "yes", self.lab.runs_on(destination, GUEST))
        waits = [int(each) for each in re.findall(r"fault us=(\d+)", self.serial(destination)[seen:])]
        self.waits[cipher] += waits
        self.downtimes[cipher].append(status["downtime"] / 1e3)
        self.report.check("pages that it waited for", len(waits), len(waits) > 0, "> 0")
        self.report.check("the source has it no more", "yes", self.lab.agents[source].domain(GUEST) is None)

    def whole(self, host, guest=GUEST):
        """Each page is what the guest wrote last, wherever it was then."""
        seen = len(self.serial(host, guest))
        wait_for("two checks of the memory", lambda: self.serial(host, guest)[seen:].count("verify ") >= 2, 120)
        text = self.serial(host, guest)
        self.report.check("its memory, checked from inside", "whole", "verify ok" in text[seen:] and "verify BAD" not in text)

    def figures(self):
        self.report.section(f"What a page costs that is still behind, {ROUNDS} moves each in turn")
        for cipher in CIPHERS:
            waits = self.waits[cipher]
            self.report.fact(cipher, f"{len(waits)} waits over 50 us: p50 {percentile(waits, 0.5) / 1e3:.2f}, p99 "
                                     f"{percentile(waits, 0.99) / 1e3:.2f}, most {max(waits, default=0) / 1e3:.2f} ms; downtime, as the agent has it, "
                                     f"{sorted(self.downtimes[cipher])[ROUNDS // 2]:.0f} ms")
        plain, sealed = (percentile(self.waits[cipher], 0.99) for cipher in ("none", "aes-128-gcm"))
        self.report.fact("p99 encrypted / plain", f"{sealed / max(plain, 1):.2f}")

    def not_accepted(self):
        self.report.section("An operator who has not accepted what it may cost")
        self.lab.agents[B].stop()
        self.lab.modules = {"migration": self.policy | {"post_copy": "refuse"}}
        self.lab.start_agent(B, self.folder / "policy.toml")
        self.refused("migration", self.mover.migrate(GUEST, A, B, "--post-copy"), "accept-loss")
        self.lab.agents[B].stop()
        self.lab.modules = {"migration": self.policy}
        self.lab.start_agent(B, self.folder / "policy.toml")

    def kill_agent(self):
        self.lab.agents[B].kill()

    def cut_link(self):
        """Every connection between the two agents, at once."""
        enter = [*self.lab.env["TB_ENTER"].split(), B[-1]]
        subprocess.run([*enter, "ss", "-K", "( sport = :7443 or dport = :7443 )"], check=True, capture_output=True)

    def break_post_copy(self, break_it):
        """In doubt at both ends; the migration's id."""
        agent = self.lab.agents[A]
        agent.vmsec(*self.mover.command(LARGE, A, B, "--post-copy", "--bandwidth", "200MB/s", "--max-downtime", "1ms", "--detach"))
        wait_for("the memory to follow", lambda: self.mover.latest(A, LARGE)["state"] == "following", 120, 0.02)
        migration = self.mover.latest(A, LARGE)["migration"]
        break_it()
        wait_for("the migration's end", lambda: self.state(A, migration) in ("in doubt", "failed", "completed"), 120)
        self.report.check("at the source", self.state(A, migration), self.state(A, migration) == "in doubt", "in doubt")
        if self.lab.agents[B].process.poll() is not None:
            self.lab.agents[B].start()
        wait_for("its end at the destination", lambda: self.state(B, migration) in ("in doubt", "lost", "completed"), 120)
        self.report.check("the guest runs at the source", "no", not self.lab.runs_on(A, LARGE))
        return migration

    def recovered(self, what, break_it):
        """What both QEMUs have of it is enough."""
        self.report.section(f"While the memory follows: {what}, and it is taken up")
        migration = self.break_post_copy(break_it)
        refused = self.lab.agents[B].show("migrate", "recover", migration)
        self.report.check("at the destination", "refused", refused.returncode != 0 and f"recover it at {A}" in refused.stderr, f"recover it at {A}")
        done = self.lab.agents[A].show("migrate", "recover", migration)
        states = [self.state(host, migration) for host in HOSTS]
        self.report.check("at the source", f"{', '.join(states)}; exit code {done.returncode} {done.stderr[-200:]}",
                          (states, done.returncode) == (["completed"] * 2, 0), "completed at both")
        self.report.check("the guest runs at the destination", "yes", self.lab.runs_on(B, LARGE))
        self.report.check("the source has it no more", "yes", self.lab.agents[A].domain(LARGE) is None)
        self.whole(B, LARGE)
        back = self.mover.migrate(LARGE, B, A, "--post-copy", "--max-downtime", "1ms")
        self.report.check("it moves back", f"{back['state']} {back['cause']}", back["state"] == "completed", "completed")

    def lost(self, what, break_it):
        """Behind its begin neither host has the guest whole: it may be lost, and is never at both."""
        self.report.section(f"While the memory follows: {what}, and it is given up")
        migration = self.break_post_copy(break_it)
        agent = self.lab.agents[A]
        self.resolve(A, migration, "in doubt", 4)
        start = agent.show("vm", "start", LARGE)
        self.report.check("it is started at the source meanwhile", "refused", "migration" in start.stderr and start.returncode != 0, "refused")
        # As docs/cli.md has it.
        if LARGE in self.lab.virsh(B, "list", "--name"):
            self.lab.virsh(B, "destroy", LARGE)
        self.resolve(B, migration, "lost", 1)
        if self.lab.agents[B].domain(LARGE):
            self.lab.agents[B].vmsec("vm", "undefine", LARGE)
        self.resolve(A, migration, "lost", 1)
        seen = len(self.lab.serial_text(A, LARGE))
        agent.vmsec("vm", "start", LARGE)
        wait_for("the guest, started anew", lambda: re.search(r"^tick \d+", self.lab.serial_text(A, LARGE)[seen:], re.M), 60)
        self.report.check("started anew, it runs at the source", "yes", self.lab.runs_on(A, LARGE))

    def state(self, host, migration):
        listed = self.lab.agents[host].vmsec("migrate", "list")["migrations"]
        return next((each["state"] for each in listed if each["migration"] == migration), "not known")

    def resolve(self, host, migration, state, code):
        done = self.lab.agents[host].show("migrate", "resolve", migration)
        seen = self.state(host, migration)
        self.report.check(f"resolve at {host}", f"{seen}, exit code {done.returncode}", (seen, done.returncode) == (state, code),
                          f"{state}, exit code {code}")

    def run(self):
        with self.lab:
            policy = self.folder / "policy.toml"
            policy.write_text(MIGRATION_ALONE)
            self.lab.start_agents(policy)
            self.lab.create_domain(A, GUEST, MEMORY, "dirty=64 rate=2000 faults=1")
            wait_for("the guest", lambda: self.lab.last_tick(A, GUEST) > 0, 60)
            self.report.step(f"two libvirt hosts are up; a guest of {MEMORY} MiB rewrites 64 of them without end")
            self.pre_copy()
            self.report.section("Post-copy, there and back")
            for number in range(ROUNDS):
                cipher = CIPHERS[number % 2]
                self.move(A, B, cipher)
                self.move(B, A, CIPHERS[1 - number % 2])
            self.whole(A)
            self.figures()
            self.not_accepted()
            self.lab.remove_domain(GUEST)
            self.lab.create_domain(A, LARGE, LARGE_MEMORY, "dirty=560 rate=20000 faults=1")
            for each in (self.recovered, self.lost):
                each("the destination's agent is killed", self.kill_agent)
                each("the link is cut", self.cut_link)
        return self.report.print()


if __name__ == "__main__":
    program.run(__doc__, "vmsec-post-copy-", lambda folder, build: PostCopy(folder, build).run())
