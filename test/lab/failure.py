#!/usr/bin/env python3
"""kill -9 in mid-migration: whatever dies, exactly one host runs the guest afterwards, and never did both.

    failure.py BUILD_DIR [--runs 20] [--seed N] [--victims worker] [--keep]

Each run migrates a real QEMU guest between two libvirt hosts, kills vmsecd, libvirtd or the migration module's worker of either host at a random moment,
starts it again, runs `vmsec migrate resolve`, and then checks: exactly one host runs the guest; no tick of its counter was
printed twice over both hosts (a watcher looks on throughout); its memory, which it verifies itself, is right.
"""
import pathlib
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab import program  # noqa: E402
from lab.agent import CommandFailed, wait_for  # noqa: E402
from lab.kills import Kills  # noqa: E402
from lab.kvm import HOSTS, TESTBED, KvmLab  # noqa: E402
from lab.reference import write_reference  # noqa: E402
from lab.victim import GUEST  # noqa: E402


class Failures(Kills):
    pause = 0.5

    def __init__(self, folder, build, seed, victims):
        self.reference = pathlib.Path(folder) / "reference.toml"
        super().__init__(KvmLab(folder, build, {"measured_boot": {"reference": str(self.reference)},
                                                "migration": {"attestation": "required", "stall_timeout": "5 s"}}),
                         HOSTS, folder, seed)
        self.victims = victims.split(",")

    def start(self):
        policy = self.write_policy()
        write_reference(self.lab.side(HOSTS[0], "EVENTLOG"), self.reference)
        self.lab.start_agents(policy)
        for host, peer in (HOSTS, HOSTS[::-1]):
            self.lab.agents[host].vmsec("attest", "enrol", peer)
        self.lab.create_domain(HOSTS[0], GUEST, 96, "dirty=12 rate=10 verify=96")

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

    def verified(self, host):
        """The guest verifies its whole memory once more, at the host that runs it."""
        def passes():
            return max([int(n) for n in re.findall(r"^verify ok pass=(\d+)", self.lab.serial_text(host, GUEST), re.M)] or [0])
        before = passes()
        wait_for("the guest to verify its memory", lambda: passes() > before, 60)

    def run(self, number):
        source = self.where()
        destination = self.other(source)
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
        self.resolve()
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


if __name__ == "__main__":
    program.run(__doc__, "vmsec-fail-", lambda folder, build, runs, seed, victims: Failures(folder, build, seed, victims).whole(runs),
                runs=20, seed=1, victims="vmsecd,libvirtd,worker")
