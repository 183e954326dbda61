#!/usr/bin/env python3
"""kill -9 of the migration module's process in mid-migration: exactly one host runs the guest afterwards, and no agent notices more.

    worker_killed.py BUILD_DIR [--runs 20] [--seed N] [--keep]

On the simulated hypervisor, without root. Each run migrates a guest and kills the worker of the migration module on either
host at a random moment. Then `vmsec migrate resolve` on both must end every doubt, exactly one host must run the guest, and
vmsecd on both must be the process that it was. While all this goes on, both hosts are asked: never do both run the guest.
failure.py does the same on real hypervisors.
"""
import argparse
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab.agent import CommandFailed, wait_for  # noqa: E402
from lab.sim import HOSTS, SimLab  # noqa: E402
from lab.victim import GUEST, POLICY  # noqa: E402

DOMAIN = (f'name = "{GUEST}"\nuuid = "0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e07"\nmemory = "128 MiB"\nvcpus = 1\nseed = 7\n'
          '[workload]\npattern = "hot"\ndirty_rate = 2000\n')


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
            first, second = HOSTS
            self.looks += 1
            if self.running(first) and self.running(second) and self.running(first):
                self.both += 1


class Kills:
    def __init__(self, folder, build, seed):
        self.folder = pathlib.Path(folder)
        self.random = random.Random(seed)
        self.lab = SimLab(folder, build, {"migration": {"attestation": "none", "stall_timeout": "5 s"}})
        self.tickets = 0
        self.duration = 0.5

    def start(self):
        policy = self.folder / "policy.toml"
        policy.write_text(POLICY)
        self.lab.define(HOSTS[0], GUEST, DOMAIN)
        self.lab.start_agents(policy)

    def where(self):
        def running():
            return [host for host in HOSTS if self.lab.runs_on(host, GUEST)]
        return wait_for("one host that runs the guest", lambda: (lambda r: r if len(r) == 1 else None)(running()), 40)[0]

    def begin(self, source, destination):
        self.tickets += 1
        agent = self.lab.agents[source]
        ticket = self.lab.pki.ticket(agent, GUEST, source, destination, self.folder / f"ticket-{self.tickets}")
        return subprocess.Popen(agent.command("--json", "migrate", GUEST, "--to", destination, "--ticket", ticket),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def resolve(self):
        def settled():
            self.doubt = []
            for host in HOSTS:
                try:
                    self.lab.agents[host].vmsec("migrate", "resolve")
                    listed = self.lab.agents[host].vmsec("migrate", "list")["migrations"]
                except CommandFailed as failure:
                    self.doubt.append(f"{host}: {failure}")
                    continue
                self.doubt += [f"{host}: {e['state']}: {e['cause']}" for e in listed if e["state"] not in ("completed", "failed")]
            return not self.doubt
        try:
            wait_for("resolve", settled, 90, 0.3)
        except TimeoutError:
            raise AssertionError(f"not resolved: {self.doubt}") from None

    def clean_run(self):
        source = self.where()
        began = time.monotonic()
        migration = self.begin(source, next(host for host in HOSTS if host != source))
        out, error = migration.communicate(timeout=120)
        assert migration.returncode == 0, f"a migration without a kill failed: {error or out}"
        self.duration = (time.monotonic() - began) * 1.1
        print(f"a migration without a kill takes {self.duration / 1.1:.2f} s", flush=True)

    def run(self, number):
        source = self.where()
        destination = next(host for host in HOSTS if host != source)
        victim = self.random.choice(HOSTS)
        moment = self.random.uniform(0, self.duration)
        agents = {host: agent.pid() for host, agent in self.lab.agents.items()}
        watch = Watch(self.lab.agents)
        watch.start()
        migration = self.begin(source, destination)
        time.sleep(moment)
        self.lab.agents[victim].kill_worker("migration")
        migration.wait(120)
        self.lab.agents[victim].wait_for_module("migration")
        self.resolve()
        owner = self.where()
        watch.over.set()
        watch.join(60)
        assert watch.both == 0, f"{watch.both} of {watch.looks} times both hosts ran the guest"
        assert agents == {host: agent.pid() for host, agent in self.lab.agents.items()}, "an agent is another process"
        assert all(agent.process.poll() is None for agent in self.lab.agents.values()), "an agent has ended"
        print(f"run {number:3}: worker of the {'source' if victim == source else 'destination':11} killed after {moment:.2f} s; "
              f"runs at the {'source' if owner == source else 'destination'}, looked {watch.looks} times", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the folder with the logs")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="vmsec-worker-killed-")
    kills = Kills(folder, options.build, options.seed)
    good = 0
    try:
        with kills.lab:
            kills.start()
            kills.clean_run()
            for number in range(1, options.runs + 1):
                try:
                    kills.run(number)
                except (AssertionError, TimeoutError, CommandFailed) as failure:
                    print(f"run {number}: FAILED (seed {options.seed}): {failure}", flush=True)
                    for host, agent in kills.lab.agents.items():
                        print(f"-- {host}\n{agent.log_tail(30)}")
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
