#!/usr/bin/env python3
"""kill -9 in mid-migration: whatever dies, exactly one host runs the guest afterwards, and never did both.

    failure.py BUILD_DIR [--runs 20] [--seed N] [--victims worker] [--keep]

Each run migrates a real QEMU guest between two libvirt hosts, kills vmsecd, libvirtd or the migration module's worker of either host at a random moment,
starts it again, runs `vmsec migrate resolve`, and then checks: exactly one host runs the guest; no tick of its counter was
printed twice over both hosts (a watcher looks on throughout); its memory, which it verifies itself, is right.
"""
import argparse
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab.agent import CommandFailed, wait_for  # noqa: E402
from lab.kvm import HOSTS, TESTBED, KvmLab  # noqa: E402
from lab.reference import write_reference  # noqa: E402
from lab.victim import GUEST, POLICY  # noqa: E402



class Failures:
    def __init__(self, folder, build, seed, victims):
        self.folder = pathlib.Path(folder)
        self.random = random.Random(seed)
        self.reference = self.folder / "reference.toml"
        self.lab = KvmLab(folder, build, {"measured_boot": {"reference": str(self.reference)},
                                          "migration": {"attestation": "required", "stall_timeout": "5 s"}})
        self.victims = victims
        self.duration = 3.0
        self.ticket = 0

    def start(self):
        policy = self.folder / "policy.toml"
        policy.write_text(POLICY)
        write_reference(self.lab.side(HOSTS[0], "EVENTLOG"), self.reference)
        self.lab.start_agents(policy)
        for host, peer in (HOSTS, HOSTS[::-1]):
            self.lab.agents[host].vmsec("attest", "enrol", peer)
        self.lab.create_domain(HOSTS[0], GUEST, 96, "dirty=12 rate=10 verify=96")

    def where(self):
        """The one host that runs the guest."""
        def running():
            return [host for host in HOSTS if self.lab.runs_on(host, GUEST)]
        return wait_for("one host that runs the guest", lambda: (lambda r: r if len(r) == 1 else None)(running()), 40)[0]

    def begin(self, source, destination):
        self.ticket += 1
        agent = self.lab.agents[source]
        ticket = self.lab.pki.ticket(agent, GUEST, source, destination, self.folder / f"ticket-{self.ticket}")
        return subprocess.Popen(agent.command("--json", "migrate", GUEST, "--to", destination, "--ticket", ticket),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def kill(self, host, daemon):
        if daemon == "vmsecd":
            self.lab.agents[host].kill()
        elif daemon == "worker":
            self.lab.agents[host].kill_worker("migration")
        else:
            self.lab.testbed("kill-libvirtd", host[-1])

    def restart(self, host, daemon):
        if daemon == "vmsecd":
            self.lab.agents[host].start()
        elif daemon == "worker":
            self.lab.agents[host].wait_for_module("migration")
        else:
            self.lab.testbed("start-libvirtd", host[-1])
            wait_for("vmsecd to see libvirtd again", lambda: self.lists(host), 60)

    def lists(self, host):
        try:
            self.lab.agents[host].vmsec("vm", "list")
            return True
        except CommandFailed:
            return False

    def resolve(self, source, destination):
        """`migrate resolve` at both ends until nothing is in doubt."""
        def settled():
            doubtful = []
            for host in (source, destination):
                try:
                    self.lab.agents[host].vmsec("migrate", "resolve")
                except CommandFailed as failure:
                    doubtful.append(str(failure))
                for entry in self.lab.agents[host].vmsec("migrate", "list")["migrations"]:
                    if entry["state"] not in ("completed", "failed"):
                        doubtful.append(f"{host}: {entry['state']}: {entry['cause']}")
            self.last_doubt = doubtful
            return not doubtful
        try:
            wait_for("resolve", settled, 60, 0.5)
        except TimeoutError:
            raise AssertionError(f"not resolved: {self.last_doubt}") from None

    def verified(self, host):
        """The guest verifies its whole memory once more, at the host that runs it."""
        def passes():
            return max([int(n) for n in re.findall(r"^verify ok pass=(\d+)", self.lab.serial_text(host, GUEST), re.M)] or [0])
        before = passes()
        wait_for("the guest to verify its memory", lambda: passes() > before, 60)

    def run(self, number):
        source = self.where()
        destination = next(host for host in HOSTS if host != source)
        victim = (self.random.choice(HOSTS), self.random.choice(self.victims))
        moment = self.random.uniform(0.05, self.duration)
        watcher = subprocess.Popen([str(TESTBED / "kvm/watch_ticks.py"), "--json", "--skip-existing",
                                    *[str(self.lab.serial(host, GUEST)) for host in HOSTS]], stdout=subprocess.PIPE, text=True)
        started = time.monotonic()
        migration = self.begin(source, destination)
        time.sleep(moment)
        ended = migration.poll() is not None
        self.kill(*victim)
        migration.wait(120)
        self.restart(*victim)
        self.resolve(source, destination)
        owner = self.where()
        if ended and owner == source:
            raise AssertionError("the migration had failed before anything was killed")
        self.verified(owner)
        watcher.send_signal(signal.SIGTERM)
        told, _ = watcher.communicate(timeout=60)
        if watcher.returncode != 0:
            raise AssertionError(f"the watcher says {watcher.returncode}: {told.strip()}")
        role = "source" if victim[0] == source else "destination"
        print(f"run {number:3}: {victim[1]:8} of the {role:11} killed after {moment:.2f} s"
              f"{' (the migration had ended)' if ended else ''}; runs at the {'source' if owner == source else 'destination'}, "
              f"memory right, {time.monotonic() - started:.1f} s", flush=True)

    def clean_runs(self):
        """One migration without a kill: how long it takes bounds the random moments."""
        source = self.where()
        destination = next(host for host in HOSTS if host != source)
        started = time.monotonic()
        migration = self.begin(source, destination)
        out, error = migration.communicate(timeout=120)
        if migration.returncode != 0:
            raise AssertionError(f"a migration without a kill failed: {error or out}")
        self.duration = (time.monotonic() - started) * 1.1
        print(f"a migration without a kill takes {self.duration / 1.1:.1f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--victims", default="vmsecd,libvirtd,worker", help="what may be killed")
    parser.add_argument("--keep", action="store_true", help="leave the folder with the logs")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="vmsec-fail-")
    failures = Failures(folder, options.build, options.seed, options.victims.split(","))
    good = 0
    try:
        with failures.lab:
            failures.start()
            failures.clean_runs()
            for number in range(1, options.runs + 1):
                try:
                    failures.run(number)
                except (AssertionError, TimeoutError, CommandFailed) as failure:
                    print(f"run {number}: FAILED (seed {options.seed}): {failure}", flush=True)
                    for host, agent in failures.lab.agents.items():
                        print(f"-- {host}\n{agent.log_tail()}")
                    break
                good += 1
    finally:
        if options.keep or good < options.runs:
            print(f"logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{good} passed, {options.runs - good} failed")
    sys.exit(0 if good == options.runs else 1)


if __name__ == "__main__":
    main()
