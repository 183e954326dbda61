"""What is the same wherever something is killed in mid-migration, on whichever hypervisor: where the guest is, begin, resolve, again and again."""
import pathlib
import random
import subprocess
import threading
import time

from .agent import CommandFailed, wait_for
from .move import Mover
from .victim import GUEST, POLICY

FAILURES = (AssertionError, TimeoutError, CommandFailed, subprocess.TimeoutExpired)


class Kills:
    """One lab of two hosts and its guest. A subclass makes the lab, and says what one run is."""

    patience = 60.0  # how long resolving may be in doubt
    pause = 0.3  # between two attempts
    ended = ("completed", "failed")  # what a migration is that is in no doubt

    def __init__(self, lab, hosts, folder, seed):
        self.lab, self.hosts = lab, hosts
        self.folder = pathlib.Path(folder)
        self.random = random.Random(seed)
        self.seed = seed
        self.duration = 1.0
        self.mover = Mover(lab, folder)
        self.doubt = []

    def write_policy(self):
        policy = self.folder / "policy.toml"
        policy.write_text(POLICY)
        return policy

    def other(self, host):
        return next(peer for peer in self.hosts if peer != host)

    def where(self):
        """The one host that runs the guest."""
        def one():
            running = [host for host in self.hosts if self.lab.runs_on(host, GUEST)]
            return running if len(running) == 1 else None
        return wait_for("one host that runs the guest", one, 40)[0]

    def begin(self, source, destination):
        command = self.lab.agents[source].command("--json", *self.mover.command(GUEST, source, destination))
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def look_for_doubt(self, host):
        """Resolves at one host; answers what is still in doubt there."""
        agent = self.lab.agents[host]
        try:
            agent.vmsec("migrate", "resolve")
            listed = agent.vmsec("migrate", "list")["migrations"]
        except CommandFailed as failure:
            return [f"{host}: {failure}"]
        return [f"{host}: {entry['state']}: {entry['cause']}" for entry in listed if entry["state"] not in self.ended]

    def resolve(self):
        """`migrate resolve` at both ends until nothing is in doubt."""
        def settled():
            self.doubt = [each for host in self.hosts for each in self.look_for_doubt(host)]
            return not self.doubt
        try:
            wait_for("resolve", settled, self.patience, self.pause)
        except TimeoutError:
            raise AssertionError(f"not resolved: {self.doubt}") from None

    def clean_run(self):
        """One migration without a kill: how long it takes bounds the random moments."""
        source = self.where()
        began = time.monotonic()
        migration = self.begin(source, self.other(source))
        out, error = migration.communicate(timeout=120)
        assert migration.returncode == 0, f"a migration without a kill failed: {error or out}"
        self.duration = (time.monotonic() - began) * 1.1
        print(f"a migration without a kill takes {self.duration / 1.1:.2f} s", flush=True)

    def repeat(self, runs):
        """run(1), run(2), ...; stops at the first that does not hold. Answers whether all held."""
        began, good = time.monotonic(), 0
        for number in range(1, runs + 1):
            try:
                self.run(number)
            except FAILURES as failure:
                print(f"run {number}: FAILED (seed {self.seed}): {failure}", flush=True)
                for host, agent in self.lab.agents.items():
                    print(f"-- {host}\n{agent.log_tail(30)}")
                break
            good += 1
        rate = 60 * good / max(time.monotonic() - began, 1)
        print(f"{good} passed, {runs - good} failed; seed {self.seed}, {rate:.0f} a minute", flush=True)
        return good == runs

    def whole(self, runs):
        """The program: the lab up, one migration without a kill, the runs."""
        with self.lab:
            self.start()
            self.clean_run()
            return self.repeat(runs)


class Watch(threading.Thread):
    """Asks both hosts, one after the other and the first once more: a guest that ran here before and after ran here then."""

    def __init__(self, agents):
        super().__init__(daemon=True)
        self.agents, self.both, self.looks, self.over = agents, 0, 0, threading.Event()

    def running(self, host):
        try:
            domain = self.agents[host].domain(GUEST)
        except (CommandFailed, subprocess.TimeoutExpired):
            return False
        return domain is not None and domain["state"] == "running"

    def run(self):
        while not self.over.is_set():
            first, second = self.agents
            self.looks += 1
            if self.running(first) and self.running(second) and self.running(first):
                self.both += 1

    def end(self):
        self.over.set()
        self.join(60)
        assert self.both == 0, f"{self.both} of {self.looks} times both hosts ran the guest"
