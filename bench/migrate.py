#!/usr/bin/env python3
"""Migration on libvirt and QEMU: vmsec's sealed streams beside QEMU's own TLS and QEMU in plaintext, in the same run.

    bench/migrate.py BUILD_DIR [--rounds 3] [--memory 512] [--json FILE]

Each round migrates the same kind of guest (its memory full of noise, idle, touched before the clock starts) once by each way, in
turn, so that a drift of the machine's speed hits all alike. Reported: medians over the rounds, and each way's ratio to QEMU's TLS
taken round by round. "CPU" is the busy time of the whole machine while the migration ran: it holds the guests' own work too.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "test"))
from lab.agent import wait_for  # noqa: E402
from lab.kvm import HOSTS, KvmLab  # noqa: E402

A, B = HOSTS
GUEST = "bench"
POLICY = """\
version = 1
[[grant]]
module = "migration"
vm = "*"
interfaces = ["vmsec.DomainControl", "vmsec.Migration"]
"""
WAYS = ("qemu-plain", "qemu-tls", "vmsec-aes-128-gcm", "vmsec-none")
TICKS = 100  # of /proc/stat, a second


def busy_seconds():
    fields = [int(value) for value in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:8]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS


class Bench:
    def __init__(self, folder, build, memory):
        self.folder = pathlib.Path(folder)
        self.memory = memory
        self.lab = KvmLab(folder, build, {"migration": {"attestation": "none", "encryption": "allow-none"}})
        self.count = 0

    def start(self):
        policy = self.folder / "policy.toml"
        policy.write_text(POLICY)
        self.lab.start_agents(policy)

    def one(self, way):
        """Seconds, busy CPU seconds and megabytes a second of one migration of a fresh guest."""
        self.lab.remove_domain(GUEST)
        self.lab.create_domain(A, GUEST, self.memory, "rate=0 verify=0")
        time.sleep(2)  # the guest fills its memory in about a second; it is idle afterwards
        cpu, start = busy_seconds(), time.monotonic()
        if way.startswith("qemu"):
            self.by_qemu(way)
        else:
            self.by_vmsec(way.removeprefix("vmsec-"))
        seconds, cpu = time.monotonic() - start, busy_seconds() - cpu
        wait_for("the guest at its destination", lambda: self.lab.runs_on(B, GUEST), 20)
        return {"seconds": seconds, "cpu": cpu, "rate": self.memory * 1.048576 / seconds}

    def by_qemu(self, way):
        more = ["--tls"] if way == "qemu-tls" else []
        command = [*self.lab.env["TB_ENTER"].split(), "a", "virsh", "-q", "-c", self.lab.side(A, "URI"), "migrate", "--live", "--p2p",
                   "--persistent", "--undefinesource", GUEST, "--desturi", self.lab.side(B, "PEER_URI"), "--migrateuri",
                   f"tcp://{self.lab.side(B, 'ADDR')}", *more]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"virsh migrate: {done.stderr}")

    def by_vmsec(self, cipher):
        self.count += 1
        agent = self.lab.agents[A]
        ticket = self.lab.pki.ticket(agent, GUEST, A, B, self.folder / f"ticket-{self.count}")
        status = agent.vmsec("migrate", GUEST, "--to", B, "--ticket", ticket, "--cipher", cipher)
        if status["state"] != "completed":
            raise RuntimeError(f"vmsec migrate: {status['cause']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, default=512, help="MiB of the guest")
    parser.add_argument("--json", help="write all figures to this file")
    options = parser.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory(prefix="vmsec-bench-") as folder:
        bench = Bench(folder, options.build, options.memory)
        with bench.lab:
            bench.start()
            for number in range(options.rounds):
                rounds.append({way: bench.one(way) for way in WAYS})
                print(f"round {number + 1} of {options.rounds}: " +
                      ", ".join(f"{way} {figures['seconds']:.2f} s" for way, figures in rounds[-1].items()), flush=True)
    print(f"\nguest of {options.memory} MiB of noise, idle; {options.rounds} rounds; medians")
    print(f"{'way':20} {'seconds':>8} {'MB/s':>7} {'CPU s':>7} {'speed : QEMU TLS':>17} {'CPU : QEMU TLS':>15}")
    for way in WAYS:
        median = {key: statistics.median(r[way][key] for r in rounds) for key in ("seconds", "rate", "cpu")}
        speed = statistics.median(r["qemu-tls"]["seconds"] / r[way]["seconds"] for r in rounds)
        cpu = statistics.median(r[way]["cpu"] / r["qemu-tls"]["cpu"] for r in rounds)
        print(f"{way:20} {median['seconds']:8.2f} {median['rate']:7.0f} {median['cpu']:7.2f} {speed:17.2f} {cpu:15.2f}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"memory_mib": options.memory, "rounds": rounds}, indent=2) + "\n")


if __name__ == "__main__":
    main()
