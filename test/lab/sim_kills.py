#!/usr/bin/env python3
"""kill -9 and cut streams at every step of a migration, on the simulated hypervisor: exactly one host runs the guest afterwards.

    sim_kills.py BUILD_DIR [--runs 200] [--seed N] [--victims agent,worker,stream] [--keep]

Without root. Each run migrates a guest, waits until the audit log of one of the two hosts shows a random step of the protocol, and
then kills vmsecd or the migration module's process of either host, or breaks a random connection between them (a relay carries all of
them), or breaks one after a random number of bytes. What was killed is started again, `vmsec migrate resolve` must end every doubt, then
exactly one host runs the guest, and every page of its memory is what it wrote there. Meanwhile both hosts are asked: never do both run it.

vmsecd holds the simulated guests: killing it is a host that loses its power. A guest whose only copy was in it is gone; that must be
said ("lost"), and only then. failure.py kills what there is to kill on real hypervisors, where a guest outlives the agent.
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab import program  # noqa: E402
from lab.kills import Kills, Watch  # noqa: E402
from lab.relay import Relay  # noqa: E402
from lab.sim import HOSTS, SimLab  # noqa: E402
from lab.sim_memory import wrong_pages  # noqa: E402
from lab.victim import GUEST  # noqa: E402

SEED, SIZE = 7, 16 << 20
UUID = "0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e07"
DOMAIN = (f'name = "{GUEST}"\nuuid = "{UUID}"\nmemory = "{SIZE >> 20} MiB"\nvcpus = 1\nseed = {SEED}\n'
          '[workload]\npattern = "hot"\ndirty_rate = 1000\n')
# Of each end, what its audit log shows in this order.
STEPS = {"source": ("start", "switch", "commit", "complete"),
         "destination": ("accept", "manifest", "load", "loaded", "commit", "activated")}
KINDS = {"agent": ("agent",), "worker": ("worker",), "stream": ("connection", "bytes")}


class Step:
    """Waits for a step to show in an audit log, from where the log ends now."""

    def __init__(self, state, name):
        self.file, self.word = pathlib.Path(state) / "audit.log", f'"migration.{name}"'.encode()
        self.begin = self.file.stat().st_size

    def lines(self):
        with open(self.file, "rb") as log:
            log.seek(self.begin)
            return [line for line in log.read().splitlines() if self.word in line]

    def seen(self):
        return bool(self.lines())

    def succeeded(self):
        return any(b'"succeeded"' in line for line in self.lines())


class SimKills(Kills):
    patience = 90.0
    pause = 0.1
    ended = ("completed", "failed", "lost")  # run() judges whether a guest may be lost

    def __init__(self, folder, build, seed, victims):
        modules = {"migration": {"attestation": "none", "stall_timeout": "2 s", "switch_timeout": "3 s", "call_timeout": "3 s"}}
        super().__init__(SimLab(folder, build, modules), HOSTS, folder, seed)
        self.kinds = [kind for victim in victims.split(",") for kind in KINDS[victim]]
        self.relays = {host: Relay(self.lab.ports[host]) for host in HOSTS}
        self.lab.peer_addresses = {host: f"127.0.0.1:{relay.port}" for host, relay in self.relays.items()}
        self.outcomes = {}

    def start(self):
        self.lab.define(HOSTS[0], GUEST, DOMAIN)
        self.lab.start_agents(self.write_policy())

    # ---- one run ---------------------------------------------------------------

    def strike(self, kind, victim, relay):
        if kind == "agent":
            self.lab.agents[victim].kill()
        elif kind == "worker":
            self.lab.agents[victim].kill_worker("migration")
        elif kind == "connection":
            relay.cut(self.random.choice)
        else:
            relay.cut_after(self.random.randrange(1, SIZE))

    def mend(self, kind, victim):
        if kind == "agent":
            self.lab.agents[victim].start()
        elif kind == "worker":
            self.lab.agents[victim].wait_for_module("migration")
        for relay in self.relays.values():
            relay.left = None

    def wait_for_step(self, step, migration):
        """Answers whether the step came before the migration's end."""
        while migration.poll() is None:
            if step.seen():
                return True
            time.sleep(0.0005)
        return False

    def lost(self, marks):
        return any(mark.seen() for mark in marks)

    def start_anew(self):
        """A lost guest: from its disks, at the first host."""
        for host in HOSTS:
            self.lab.agents[host].stop()
            for record in (self.folder / host).rglob(f"{UUID}.domain"):
                record.unlink()
        for host in HOSTS:
            self.lab.agents[host].start()

    def run(self, number):
        """Draws until a migration began: one whose connection broke before is no run."""
        for _ in range(20):
            if self.attempt(number):
                return
        raise AssertionError("20 migrations in turn did not begin")

    def attempt(self, number):
        source = self.where()
        destination = self.other(source)
        kind = self.random.choice(self.kinds)
        role = self.random.choice(("source", "destination"))
        victim = source if role == "source" else destination
        shows = self.random.choice(("source", "destination"))
        name = self.random.choice(STEPS[shows])
        late = self.random.choice((0, 0, 0.001, 0.005, 0.02, 0.1))
        marks = [Step(agent.state, "lost") for agent in self.lab.agents.values()]
        step = Step(self.lab.agents[source if shows == "source" else destination].state, name)
        begun = Step(self.lab.agents[source].state, "start")
        watch = Watch(self.lab.agents)
        watch.start()
        migration = self.begin(source, destination)
        if kind == "bytes":
            self.strike(kind, victim, self.relays[destination])
            came = True
        else:
            came = self.wait_for_step(step, migration)
            time.sleep(late)
            self.strike(kind, victim, self.relays[destination])
        migration.wait(120)
        self.mend(kind, victim)
        self.resolve()
        lost = self.lost(marks)
        if lost:
            assert kind == "agent", "a guest is lost whose host never lost its power"
            assert not any(watch.running(host) for host in HOSTS), "a guest is called lost, and runs"
            self.start_anew()
        owner = self.where()
        watch.end()
        filled, wrong = wrong_pages(self.lab.agents[owner].pid(), SIZE, SEED)
        assert filled > 0 and not wrong, f"{len(wrong)} of {filled} pages are not what the guest wrote: {wrong[:8]}"
        if not begun.succeeded():
            self.outcomes["did not begin, and were drawn anew"] = self.outcomes.get("did not begin, and were drawn anew", 0) + 1
            return False
        where = "lost, and said so" if lost else f"runs at the {'source' if owner == source else 'destination'}"
        what = "some bytes" if kind == "bytes" else f"{shows}'s {name}{'' if came else ' (did not come)'}"
        self.outcomes[where] = self.outcomes.get(where, 0) + 1
        target = kind if kind in ("connection", "bytes") else f"{kind} of the {role}"
        print(f"run {number:4}: {target:21} at {what:28} + {late:5.3f} s: {where}, {filled} pages right", flush=True)
        return True

    def whole(self, runs):
        good = super().whole(runs)
        print("; ".join(f"{count} {where}" for where, count in sorted(self.outcomes.items())), flush=True)
        return good


if __name__ == "__main__":
    program.run(__doc__, "vmsec-sim-kills-",
                lambda folder, build, runs, seed, victims: SimKills(folder, build, seed, victims).whole(runs),
                runs=200, seed=1, victims="agent,worker,stream")
