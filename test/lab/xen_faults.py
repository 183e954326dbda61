#!/usr/bin/env python3
"""What breaks under Xen: a migration's streams at random moments, a domain that vanishes, and a xenstored that is slow, hangs or is dead.

    xen_faults.py BUILD_DIR [--runs 3] [--seed N] [--keep]

Two Xen hosts in emulation (xen_hosts.py --faults does the same on its own two). Each run migrates a guest live, cuts it at a
random moment (kill -9 of one vmsecd, or a link that carries nothing for a while), brings back what was broken, runs `vmsec migrate
resolve`, and checks: exactly one host has the guest and runs it, and no tick of its counter was printed at both. Afterwards each
fault of the host itself must be a typed error within a time limit.
"""
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab import program  # noqa: E402
from lab.agent import CommandFailed, wait_for  # noqa: E402
from lab.move import Mover  # noqa: E402
from lab.reference import write_reference  # noqa: E402
from lab.victim import GUEST, POLICY  # noqa: E402
from lab.xen import HOSTS, PATIENCE, SHARE, STATE, XenLab  # noqa: E402

KINDS = ("vmsecd of the source", "vmsecd of the destination", "the link")
LIMIT = 60  # seconds that a call may take whatever is broken; libxl's own are 20
ENVIRONMENT = 1  # docs/cli.md, "Exit codes"


# Longer than an emulated host is silent when it is well.
MODULES = {"measured_boot": {"reference": str(SHARE / "reference.toml")},
           "migration": {"attestation": "required", "stall_timeout": "60 s", "call_timeout": "60 s"}}


class XenFaults:
    """On a lab whose agents run, trust each other, and grant victim.py's policy."""

    def __init__(self, lab, mover, seed):
        self.seed = seed
        self.random = random.Random(seed)
        self.lab = lab
        self.duration = 15.0
        self.mover = mover

    def create_guest(self):
        self.lab.create_domain(HOSTS[0], GUEST, 3, 96, "dirty=2")

    def all(self, runs):
        """Answers how many of the runs, and of the faults of a host, which count as one more, came out well."""
        self.create_guest()
        if runs > 3:
            self.clean_run()  # how long one takes: the moments spread over that
        good = 0
        for step in [lambda n=n: self.run(n) for n in range(1, runs + 1)] + [self.faults]:
            try:
                step()
            except (AssertionError, TimeoutError, CommandFailed, RuntimeError) as failure:
                print(f"FAILED (seed {self.seed}): {failure}", flush=True)
                for host, agent in self.lab.agents.items():
                    print(f"-- {host}\n{agent.log_tail()}")
                break
            good += 1
        return good

    # ---- where the guest is ----------------------------------------------------

    def has(self, host):
        return self.lab.agents[host].domain(GUEST)

    def ticks_go_on(self, host):
        before = self.lab.last_tick(host, GUEST)
        time.sleep(1.5)
        return self.lab.last_tick(host, GUEST) > before

    def owner(self):
        """The one host that has the guest, running."""
        def one():
            found = [host for host in HOSTS if self.has(host)]
            return found if len(found) == 1 and self.has(found[0])["state"] == "running" else None
        host = wait_for("one host that has the guest", one, PATIENCE, 0.5)[0]
        wait_for("its tick", lambda: self.ticks_go_on(host), PATIENCE)
        other = next(peer for peer in HOSTS if peer != host)
        if self.ticks_go_on(other):
            raise AssertionError(f"the guest's tick goes on at {other} as well")
        return host

    # ---- a cut migration -------------------------------------------------------

    def begin(self, source, destination):
        return self.lab.agents[source].begin("--json", *self.mover.command(GUEST, source, destination))

    def cut(self, kind, source, destination):
        """Breaks it; answers what mends it."""
        if kind == "the link":
            host = self.lab.hosts[destination]
            host.sh("ip link set eth0 down")
            return lambda: (time.sleep(15), host.sh("ip link set eth0 up"))
        agent = self.lab.agents[source if kind.endswith("source") else destination]
        agent.kill()
        return agent.start

    def resolve(self):
        def settled():
            self.doubtful = []
            for host in HOSTS:
                try:
                    self.lab.agents[host].vmsec("migrate", "resolve")
                except CommandFailed as failure:
                    self.doubtful.append(str(failure))
                for entry in self.lab.agents[host].vmsec("migrate", "list")["migrations"]:
                    if entry["state"] not in ("completed", "failed"):
                        self.doubtful.append(f"{host}: {entry['state']}: {entry['cause']}")
            return not self.doubtful
        try:
            wait_for("resolve", settled, PATIENCE, 1)
        except TimeoutError:
            raise AssertionError(f"not resolved: {self.doubtful}") from None

    def run(self, number):
        source = self.owner()
        destination = next(host for host in HOSTS if host != source)
        kind = self.random.choice(KINDS)
        moment = self.random.uniform(0.5, self.duration)
        started = time.monotonic()
        before = {host: self.lab.ticks_on(host, GUEST) for host in HOSTS}
        migration = self.begin(source, destination)
        time.sleep(moment)
        ended = self.lab.hosts[source].done(migration)
        mend = self.cut(kind, source, destination)
        self.lab.hosts[source].result(migration)
        mend()
        self.resolve()
        owner = self.owner()
        fresh = [self.lab.ticks_on(host, GUEST) - before[host] for host in HOSTS]
        if fresh[0] & fresh[1]:
            raise AssertionError(f"ticks at both hosts: {sorted(fresh[0] & fresh[1])}")
        print(f"run {number:3}: {kind} cut after {moment:.1f} s{' (it had ended)' if ended else ''}; the guest runs at the "
              f"{'source' if owner == source else 'destination'}, {time.monotonic() - started:.0f} s", flush=True)

    def clean_run(self):
        source = self.owner()
        destination = next(host for host in HOSTS if host != source)
        started = time.monotonic()
        code, output = self.lab.hosts[source].result(self.begin(source, destination))
        if code != 0:
            raise AssertionError(f"a migration that nobody cut failed: {output}")
        self.duration = time.monotonic() - started
        print(f"a migration that nobody cuts takes {self.duration:.0f} s", flush=True)

    def pending_suspend(self):
        """vmsecd dies when the guest was asked to suspend itself and has not answered: resolved, it goes on for good."""
        source = self.owner()
        destination = next(peer for peer in HOSTS if peer != source)
        host, agent = self.lab.hosts[source], self.lab.agents[source]
        migration = self.begin(source, destination)
        wait_for("the copy", lambda: "--incoming" in self.lab.hosts[destination].sh("xl list"), PATIENCE)
        host.sh(f"xl pause {GUEST}")
        request = f"xenstore-read /local/domain/$(xl domid {GUEST})/control/shutdown 2>/dev/null || true"
        wait_for("the request to suspend", lambda: "suspend" in host.sh(request), PATIENCE)
        agent.kill()
        host.result(migration)
        agent.start()
        self.resolve()
        if self.owner() != source:
            raise AssertionError("the guest was never sent whole, and runs at the destination")
        print("vmsecd of the source killed while the guest is asked to suspend: it goes on at the source", flush=True)

    # ---- the host itself -------------------------------------------------------

    def typed(self, what, *arguments):
        """The command says within the limit that the environment is at fault, and why."""
        started = time.monotonic()
        done = self.lab.agents[HOSTS[0]].show(*arguments, timeout=LIMIT)
        seconds = time.monotonic() - started
        if done.returncode != ENVIRONMENT or "xenstored" not in done.stdout:
            raise AssertionError(f"{what}: exit {done.returncode}: {done.stdout}")
        print(f"{what}: exit {done.returncode} after {seconds:.1f} s: {done.stdout.strip().splitlines()[0]}", flush=True)

    def vanishing_domain(self):
        """Destroyed by hand while vmsec looks at it, and while it is sent."""
        source = self.owner()
        host = self.lab.hosts[source]
        migration = self.begin(source, next(peer for peer in HOSTS if peer != source))
        time.sleep(self.random.uniform(2, self.duration * 0.6))
        host.sh(f"xl destroy {GUEST}")
        code, output = host.result(migration)
        if code == 0:
            raise AssertionError("the migration of a destroyed domain says that it succeeded")
        cause = next((line.strip() for line in output.splitlines() if '"cause"' in line), output.strip())
        print(f"a domain that vanishes while it is sent: exit {code}: {cause}", flush=True)
        for each in HOSTS:
            wait_for(f"nothing of it at {each}", lambda each=each: self.has(each) is None, PATIENCE, 1)

    def store(self):
        """xenstored stopped for a while, stopped for long, and dead (which no Xen host recovers from)."""
        host, agent = self.lab.hosts[HOSTS[0]], self.lab.agents[HOSTS[0]]
        host.sh("kill -STOP $(cat /run/xenstored.pid); (usleep 2000000; kill -CONT $(cat /run/xenstored.pid)) >/dev/null 2>&1 &")
        agent.vmsec("vm", "list")
        print("xenstored slow by 2 s: vm list answers", flush=True)
        host.sh("kill -STOP $(cat /run/xenstored.pid)")
        self.typed("xenstored hangs: vm list", "vm", "list")
        host.sh("kill -CONT $(cat /run/xenstored.pid)")
        wait_for("vm list", lambda: agent.show("vm", "list").returncode == 0, PATIENCE, 0.5)
        host.sh("kill -9 $(cat /run/xenstored.pid)")
        self.typed("xenstored is dead: vm list", "vm", "list")

    def faults(self):
        self.pending_suspend()
        self.vanishing_domain()
        self.store()


def alone(folder, build, runs, seed):
    """On two hosts of its own."""
    reference = pathlib.Path(folder) / "reference.toml"
    with XenLab(folder, build, MODULES, seconds=3000 + 240 * runs) as lab:
        write_reference(lab.event_log, reference)
        lab.start_agents(POLICY, reference)
        for host, peer in (HOSTS, HOSTS[::-1]):
            lab.agents[host].vmsec("attest", "enrol", peer)
        good = XenFaults(lab, Mover(lab, STATE), seed).all(runs)
    print(f"{good} passed, {runs + 1 - good} failed")
    return good > runs


if __name__ == "__main__":
    program.run(__doc__, "vmsec-xen-", alone, runs=3, seed=1)
