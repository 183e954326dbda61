#!/usr/bin/env python3
"""The main job on the simulated hypervisor: two vmsecd processes are two hosts. Needs no root.

    demo_sim.py BUILD_DIR [--keep]

What this shows it shows of the simulated hypervisor only; demo_kvm.py does the same on real ones.
"""
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab import measure, program  # noqa: E402
from lab.agent import wait_for  # noqa: E402
from lab.move import Mover  # noqa: E402
from lab.reference import write_reference  # noqa: E402
from lab.report import Report  # noqa: E402
from lab.sim import EVENT_LOG, HOSTS, TPM, SimLab  # noqa: E402

A, B = HOSTS
NAME = "web-1"
DOMAIN = """\
name = "web-1"
uuid = "0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e01"
memory = "128 MiB"
vcpus = 1
seed = 42
[workload]
pattern = "hot"
dirty_rate = 2000
[[disk]]
target = "vda"
source = "web-1.img"
capacity = "32 MiB"
read = "60 MB/s"
"""
POLICY = """\
version = 1
[[vm]]
match = "web-*"
[vm.isolation]
cpu_quota = "30%"
[vm.throttle.disk.vda]
read = "5 MB/s"
[[grant]]
module = "isolation"
vm = "web-*"
interfaces = ["vmsec.DomainControl", "vmsec.ResourceControl"]
[[grant]]
module = "throttle"
vm = "web-*"
interfaces = ["vmsec.DomainControl", "vmsec.IoControl"]
[[grant]]
module = "migration"
vm = "web-*"
interfaces = ["vmsec.DomainControl", "vmsec.Migration"]
[[grant]]
module = "measured_boot"
vm = "*"
interfaces = ["vmsec.BootEvidence"]
"""


class Demo:
    def __init__(self, folder, build):
        self.folder = pathlib.Path(folder)
        self.report = Report("vmsec demo on the simulated hypervisor: two processes are two hosts")
        self.reference = self.folder / "reference.toml"
        self.lab = SimLab(folder, build, {"measured_boot": {"reference": str(self.reference)},
                                          "migration": {"attestation": "required"}})
        self.mover = Mover(self.lab, folder)

    def rates(self, host, seconds):
        agent = self.lab.agents[host]
        disk_before = agent.vmsec("vm", "stats", NAME)["disks"][0]["read"]
        cpu_before, start = agent.domain(NAME)["cpu_time"], time.monotonic()
        time.sleep(seconds)
        cpu_after, elapsed = agent.domain(NAME)["cpu_time"], time.monotonic() - start
        disk_after = agent.vmsec("vm", "stats", NAME)["disks"][0]["read"]
        return measure.cpu_share(cpu_before, cpu_after, elapsed), (disk_after - disk_before) / elapsed

    def check_rates(self, host):
        cpu, disk = self.rates(host, 4)
        self.report.check(f"CPU on {host}", f"{cpu / 10:.1f} %", 0 < cpu <= 330, "<= 30 % (+10 %)")
        self.report.check(f"disk on {host}", f"{disk / 1e6:.2f} MB/s", 0 < disk <= 5.5e6, "<= 5 MB/s (+10 %)")

    def run(self):
        report, lab = self.report, self.lab
        with lab:
            write_reference(EVENT_LOG, self.reference)
            policy = self.folder / "policy.toml"
            policy.write_text(POLICY)
            lab.define(A, NAME, DOMAIN)
            lab.start_agents(policy)
            a = lab.agents[A]
            report.step(f"{NAME} runs on {A}: 128 MiB, dirties memory, reads its disk")
            report.section("Isolation and throttling")
            first = sum(len(entry["changes"]) for entry in a.vmsec("policy", "apply")["domains"])
            again = sum(len(entry["changes"]) for entry in a.vmsec("policy", "apply")["domains"])
            report.check("values changed by the policy, then by it again", f"{first}, {again}", first == 2 and again == 0, "2, 0")
            time.sleep(1)
            self.check_rates(A)
            report.section("Only a proven host receives")
            a.vmsec("attest", "enrol", B)
            verdict = a.vmsec("attest", B)
            report.check(f"{B}'s boot", verdict["verdict"], verdict["verdict"] == "trusted", "trusted")
            tampered = self.folder / "tampered.bin"
            subprocess.run([str(TPM / "replay"), "tamper", "4", str(EVENT_LOG), str(tampered)], check=True, capture_output=True)
            lab.boot(B, tampered)
            status = self.mover.migrate(NAME, A, B)
            report.check("migration to it with one byte of its boot changed", status["state"], status["state"] == "failed", "failed")
            report.check("guest bytes sent", status["guest_bytes"], status["guest_bytes"] == 0, "0")
            report.check(f"{NAME} runs on at {A}", "yes", lab.runs_on(A, NAME))
            report.fact("cause", status["cause"][:100])
            lab.boot(B, EVENT_LOG)
            report.section("Encrypted live migration")
            status = self.mover.migrate(NAME, A, B)
            report.check(f"migration of {NAME} to {B}", status["state"], status["state"] == "completed", "completed")
            report.fact("cipher", status["cipher"])
            report.fact("on the wire", f"{status['bytes_sent'] / 1e6:.1f} MB in {status['streams']} streams")
            report.fact("total time; downtime", f"{status['total_time'] / 1e6:.2f} s; {status['downtime'] / 1e3:.0f} ms")
            wait_for("the domain at its destination", lambda: lab.runs_on(B, NAME), 20)
            report.check(f"{A} has it no more", "yes", a.domain(NAME) is None)
            self.check_rates(B)
            status = self.mover.migrate(NAME, B, A, "--cipher", "none")
            report.check("no encryption is refused", status["state"], status["state"] == "failed", "failed")
            report.section("Audit")
            for name, agent in lab.agents.items():
                done = agent.show("audit", "verify", agent.state / "audit.log", "--key", lab.pki.certificate(name))
                report.check(f"audit log of {name}", (done.stdout or done.stderr).strip().splitlines()[0], done.returncode == 0)
        return report.print()


if __name__ == "__main__":
    program.run(__doc__, "vmsec-demo-", lambda folder, build: Demo(folder, build).run())
