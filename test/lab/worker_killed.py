#!/usr/bin/env python3
"""kill -9 of the migration module's process in mid-migration: exactly one host runs the guest afterwards, and no agent notices more.

    worker_killed.py BUILD_DIR [--runs 20] [--seed N] [--keep]

On the simulated hypervisor, without root. Each run migrates a guest and kills the worker of the migration module on either
host at a random moment. Then `vmsec migrate resolve` on both must end every doubt, exactly one host must run the guest, and
vmsecd on both must be the process that it was. While all this goes on, both hosts are asked: never do both run the guest.
failure.py does the same on real hypervisors; sim_kills.py kills and cuts whatever there is, at each step.
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab import program  # noqa: E402
from lab.kills import Kills, Watch  # noqa: E402
from lab.sim import HOSTS, SimLab  # noqa: E402
from lab.victim import GUEST  # noqa: E402

DOMAIN = (f'name = "{GUEST}"\nuuid = "0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e07"\nmemory = "128 MiB"\nvcpus = 1\nseed = 7\n'
          '[workload]\npattern = "hot"\ndirty_rate = 2000\n')


class WorkerKills(Kills):
    patience = 90.0

    def __init__(self, folder, build, seed):
        super().__init__(SimLab(folder, build, {"migration": {"attestation": "none", "stall_timeout": "5 s"}}), HOSTS, folder, seed)

    def start(self):
        self.lab.define(HOSTS[0], GUEST, DOMAIN)
        self.lab.start_agents(self.write_policy())

    def run(self, number):
        source = self.where()
        victim = self.random.choice(HOSTS)
        moment = self.random.uniform(0, self.duration)
        agents = {host: agent.pid() for host, agent in self.lab.agents.items()}
        watch = Watch(self.lab.agents)
        watch.start()
        migration = self.begin(source, self.other(source))
        time.sleep(moment)
        self.lab.agents[victim].kill_worker("migration")
        migration.wait(120)
        self.lab.agents[victim].wait_for_module("migration")
        self.resolve()
        owner = self.where()
        watch.end()
        assert agents == {host: agent.pid() for host, agent in self.lab.agents.items()}, "an agent is another process"
        assert all(agent.process.poll() is None for agent in self.lab.agents.values()), "an agent has ended"
        print(f"run {number:3}: worker of the {'source' if victim == source else 'destination':11} killed after {moment:.2f} s; "
              f"runs at the {'source' if owner == source else 'destination'}, looked {watch.looks} times", flush=True)


if __name__ == "__main__":
    program.run(__doc__, "vmsec-worker-killed-", lambda folder, build, runs, seed: WorkerKills(folder, build, seed).whole(runs),
                runs=20, seed=1)
