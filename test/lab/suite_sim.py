#!/usr/bin/env python3
"""What the two suites put on the wire, between two agents on the simulated hypervisor. Needs no root.

    suite_sim.py BUILD_DIR [--keep]

With suite tls every byte between the hosts belongs to a standard TLS record; with suite bulk it does not, which shows that the check can
fail. Hosts with different suites refuse each other.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab import program  # noqa: E402
from lab.move import MIGRATION_ALONE, Mover  # noqa: E402
from lab.relay import Relay  # noqa: E402
from lab.report import Report  # noqa: E402
from lab.sim import HOSTS, SimLab  # noqa: E402

A, B = HOSTS
NAME = "web-1"
DOMAIN = """\
name = "web-1"
uuid = "0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e01"
memory = "32 MiB"
vcpus = 1
seed = 42
[workload]
pattern = "hot"
dirty_rate = 2000
"""
TYPES = (20, 21, 22, 23)  # change cipher spec, alert, handshake, application data
LARGEST = 16384 + 256


def tls_records(content):
    """How many TLS records these bytes are; None where they are anything else."""
    at, records = 0, 0
    while at < len(content):
        header = content[at:at + 5]
        size = int.from_bytes(header[3:5], "big")
        if len(header) < 5 or header[0] not in TYPES or header[1] != 3 or size > LARGEST or at + 5 + size > len(content):
            return None
        at += 5 + size
        records += 1
    return records


class Listener(Relay):
    """A relay that keeps what each direction of each connection has carried."""

    def __init__(self, target):
        self.carried = {}  # by the end that it came from
        super().__init__(target)

    def heard(self, end, data):
        self.carried.setdefault(end, bytearray()).extend(data)

    def take(self):
        """What was carried since the last time."""
        with self.lock:
            found, self.carried = [bytes(each) for each in self.carried.values()], {}
        return found


class Suites:
    def __init__(self, folder, build):
        self.folder = pathlib.Path(folder)
        self.report = Report("what the suites put on the wire, on the simulated hypervisor")
        self.lab = SimLab(folder, build)
        self.mover = Mover(self.lab, folder)

    def start(self, policy, suites):
        """Both agents, each with its suite."""
        for host in HOSTS:
            self.lab.modules = {"migration": {"attestation": "none", "suite": suites[host]}}
            self.lab.configure(host, policy).start()

    def stop(self):
        for agent in self.lab.agents.values():
            agent.stop()

    def moved(self, status, suite, heard):
        report = self.report
        report.check(f"migration with suite {suite}", status["state"], status["state"] == "completed", "completed")
        report.fact("cipher", status["cipher"])
        counts = [tls_records(each) for each in heard]
        total = sum(len(each) for each in heard)
        report.check("the guest was heard", f"{total / 1e6:.1f} MB", total > 16e6, "more than 16 MB")
        standard = None not in counts
        told = f"{sum(filter(None, counts))} TLS records in {len(counts)} directions" if standard else "not TLS records alone"
        report.check("on the wire", told, standard == (suite == "tls"), "TLS records alone" if suite == "tls" else "other bytes")

    def run(self):
        report, lab = self.report, self.lab
        policy = self.folder / "policy.toml"
        with lab:
            policy.write_text(MIGRATION_ALONE)
            lab.define(A, NAME, DOMAIN)
            listener = Listener(lab.ports[B])
            lab.peer_addresses[B] = f"127.0.0.1:{listener.port}"
            for cipher in ("aes-128-gcm", "chacha20-poly1305"):
                report.section(f"Suite tls, {cipher}, there and back")
                self.start(policy, {A: "tls", B: "tls"})
                self.moved(self.mover.migrate(NAME, A, B, "--cipher", cipher, "--bulk-channels", "2"), "tls", listener.take())
                status = self.mover.migrate(NAME, B, A)
                report.check("back", status["state"], status["state"] == "completed", "completed")
                self.stop()
            report.section("Different suites")
            self.start(policy, {A: "bulk", B: "tls"})
            listener.take()
            status = self.mover.migrate(NAME, A, B)
            report.check("refused", status["state"], status["state"] == "failed" and "suite" in status["cause"], "failed, by the suite")
            report.check("guest bytes sent", status["guest_bytes"], status["guest_bytes"] == 0, "0")
            report.check(f"{NAME} runs on at {A}", "yes", lab.runs_on(A, NAME))
            self.stop()
            report.section("Suite bulk")
            self.start(policy, {A: "bulk", B: "bulk"})
            listener.take()
            self.moved(self.mover.migrate(NAME, A, B), "bulk", listener.take())
        return report.print()


if __name__ == "__main__":
    program.run(__doc__, "vmsec-suites-", lambda folder, build: Suites(folder, build).run())
