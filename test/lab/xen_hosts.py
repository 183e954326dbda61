#!/usr/bin/env python3
"""Two Xen hosts in emulation: a guest is live-migrated from one to the other, attested and encrypted.

    xen_hosts.py BUILD_DIR|PREFIX [--examples FOLDER] [--faults RUNS] [--seed N] [--keep]

Each host is a QEMU of its own; the link between them is recorded from outside. dom0's TPM is a software one, given the
measurements of a boot that was made elsewhere. --examples: afterwards a vendor's modules work on one of them (examples.py), with
the PREFIX that they were built against. --faults: then what breaks there (xen_faults.py), cut RUNS times.
"""
import hashlib
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab import examples, program  # noqa: E402
from lab.agent import ROOT, Programs, wait_for  # noqa: E402
from lab.move import Mover  # noqa: E402
from lab.reference import write_reference  # noqa: E402
from lab.report import Report  # noqa: E402
from lab.victim import POLICY as VICTIMS  # noqa: E402
from lab.xen import PATIENCE, STATE, XenLab  # noqa: E402
from lab.xen_faults import MODULES, XenFaults  # noqa: E402

A, B = "host-a", "host-b"
MARKER = "vmsec-xen-marker"
STOPPED = "Freezing user space processes"  # what Linux says when it suspends
FIND_MARKER = ROOT / "test/testbed/net/find_marker.py"
POLICY = VICTIMS + """\
[[vm]]
match = "web"
[vm.isolation]
cpu_quota = "60%"
[[grant]]
module = "isolation"
vm = "web*"
interfaces = ["vmsec.DomainControl", "vmsec.ResourceControl"]
[[grant]]
module = "migration"
vm = "web*"
interfaces = ["vmsec.DomainControl", "vmsec.Migration"]
"""


class XenHosts:
    def __init__(self, folder, build):
        self.folder = pathlib.Path(folder)
        self.modules = Programs(build).modules
        self.report = Report("vmsec on two Xen hosts")
        self.lab = XenLab(folder, build, {**MODULES, "migration": {**MODULES["migration"], "encryption": "allow-none"}}, seconds=3600)
        self.mover = Mover(self.lab, STATE)
        self.moves = 0

    def prepare(self):
        report, lab = self.report, self.lab
        report.step("two Xen hosts are up in emulation, joined by a recorded link")
        write_reference(lab.event_log, self.folder / "reference.toml")
        lab.start_agents(POLICY, self.folder / "reference.toml")
        for host in lab.hosts.values():
            version = host.sh("xl info | sed -n 's/^xen_version *: //p'").strip()
            report.fact(host.name, f"Xen {version}, dom0 by libxl; TPM: swtpm inside dom0, filled by replay of a boot log")
        for name in ("migration", "measured_boot"):
            digest = hashlib.sha256((self.modules / f"{name}.so").read_bytes()).hexdigest()
            inside = lab.hosts[A].sh(f"sha256sum /opt/vmsec/lib/vmsec/modules/{name}.so").split()[0]
            report.check(f"module {name}", f"sha256 {digest}", inside == digest, "the build's, as on kvm and sim")
        report.step("vmsecd runs in both dom0s")
        lab.create_domain(A, "web", 1, 96, f"marker={MARKER} dirty=2")
        lab.create_domain(A, "web-pv", 2, 96, "", kind="pv")
        report.step(f"guests web (PVH) and web-pv (PV) run on {A}")

    def attest(self):
        for host, peer in ((A, B), (B, A)):
            self.lab.agents[host].vmsec("attest", "enrol", peer)
        verdict = self.lab.agents[A].vmsec("attest", B)
        self.report.check(f"{B}'s boot", verdict["verdict"], verdict["verdict"] == "trusted", "trusted")

    def refuse_pv(self):
        """Stock Xen has no shadow paging: a PV guest cannot be moved while it runs, and nobody stops it to find out."""
        report, lab = self.report, self.lab
        before = lab.last_tick(A, "web-pv")
        status = self.mover.migrate("web-pv", A, B)
        report.check("live migration of a PV guest", status["state"], status["state"] == "failed", "refused")
        report.check("why", status["cause"][-100:], "shadow paging" in status["cause"], "shadow paging")
        report.check("guest bytes sent", status["bytes_sent"], status["bytes_sent"] == 0, "0")
        report.check("the guest was never stopped", "yes", STOPPED not in lab.console(A, "web-pv"))
        wait_for("a tick of web-pv", lambda: lab.last_tick(A, "web-pv") > before, PATIENCE)
        report.check("it runs on at the source", "yes", lab.agents[A].domain("web-pv")["state"] == "running")

    def move(self, source, destination, cipher, expectation):
        report, lab = self.report, self.lab
        start = time.monotonic()
        status = self.mover.migrate("web", source, destination, "--cipher", cipher)
        self.moves += 1
        report.check(f"live migration of web to {destination}", status["state"], status["state"] == "completed", "completed")
        if status["state"] != "completed":
            report.fact("cause", status["cause"])
            return
        report.step(f"live migration of web to {destination} ({cipher}): {time.monotonic() - start:.0f} s")
        there = lab.last_tick(destination, "web")
        wait_for("the guest's tick at its destination", lambda: lab.last_tick(destination, "web") > there, PATIENCE)
        left = lab.last_tick(source, "web")
        report.check("its tick goes on at the destination", f"from {left} to {lab.last_tick(destination, 'web')}",
                     lab.last_tick(destination, "web") > left)
        if self.moves == 1:  # on its way back it comes to a console that has ticks of before
            both = lab.ticks_on(source, "web") & lab.ticks_on(destination, "web")
            report.check("ticks at both hosts", len(both), not both, "0")
            report.check("the source's console says that it was stopped", "yes", STOPPED in lab.console(source, "web"))
        report.check("the source has it no more", "yes", lab.agents[source].domain("web") is None)
        self.find_marker(expectation, status["bytes_sent"])
        report.fact("cipher; on the wire", f"{status['cipher']}; {status['bytes_sent'] / 1e6:.1f} MB")
        report.fact("total time; downtime (of an emulated CPU)",
                    f"{status['total_time'] / 1e6:.1f} s; {status['downtime'] / 1e3:.0f} ms")
        report.check("attested", status["attested"], status["attested"] == f"{destination}: trusted", f"{destination}: trusted")

    def find_marker(self, expectation, least):
        """In all that the link has carried so far."""
        done = subprocess.run([str(FIND_MARKER), str(self.lab.capture), "--marker", MARKER, "--min-bytes", str(least), "--expect",
                               expectation, "--json"], capture_output=True, text=True)
        found = json.loads(done.stdout) if done.stdout else {}
        self.report.check("its 64-byte marker in the recorded link", f"{found.get('markers', -1)} times {done.stderr.strip()}",
                          done.returncode == 0, "0 times" if expectation == "absent" else "> 0 times")

    def run(self, vendor=None, faults=0, seed=1):
        with self.lab:
            self.report.section("Hosts")
            self.prepare()
            self.attest()
            self.report.section("Refusal before harm")
            self.refuse_pv()
            self.report.section("Encrypted live migration")
            self.move(A, B, "aes-128-gcm", "absent")
            self.report.section("The same check, where it must find something: no encryption, authenticated only")
            self.move(B, A, "none", "present")
            if vendor:
                self.vendor(vendor)
            if faults:
                self.faults(faults, seed)
        return self.report.print()

    def vendor(self, folder):
        self.report.section("A vendor's modules, the files that ran on other hypervisors")
        good = examples.work(examples.xen_target(self.lab), examples.CARRIERS, self.lab.build, folder)
        self.report.check(f"on a guest of {A}", "all passed" if good else "see the table", good, "all passed")

    def faults(self, runs, seed):
        self.report.section("What breaks")
        for name in ("web", "web-pv"):
            self.lab.hosts[A].sh(f"xl destroy {name}")
        good = XenFaults(self.lab, self.mover, seed).all(runs)
        self.report.check(f"cut migrations, and faults of a host (seed {seed})", f"{good} of {runs + 1}", good == runs + 1, "all")


if __name__ == "__main__":
    program.run(__doc__, "vmsec-xen-", lambda folder, build, examples, faults, seed: XenHosts(folder, build).run(examples, faults, seed),
                examples="", faults=0, seed=1)
