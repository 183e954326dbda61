#!/usr/bin/env python3
"""The main job on real hypervisors: a QEMU guest is isolated, throttled, attested and live-migrated, encrypted.

    demo_kvm.py BUILD_DIR [--keep]

Run by script/demo, which installs and builds first.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab import measure, program  # noqa: E402
from lab.agent import wait_for  # noqa: E402
from lab.kvm import TESTBED, KvmLab  # noqa: E402
from lab.move import Mover  # noqa: E402
from lab.reference import write_reference  # noqa: E402
from lab.report import Report  # noqa: E402

A, B = "host-a", "host-b"
MEMORY = 256  # MiB
CPU_LIMIT = 300  # thousandths of a CPU
DISK_LIMIT = 5_000_000  # bytes a second
MARKER = "vmsec-demo-marker"
DISK_GUEST, CPU_GUEST = "web-disk", "web-cpu"

POLICY = """\
version = 1

[[vm]]
match = "web-*"
[vm.isolation]
cpu_quota = "30%"
[vm.throttle.disk."*"]
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
        self.report = Report("vmsec demo: two libvirt hosts, one real QEMU guest")
        self.reference = self.folder / "reference.toml"
        self.policy = self.folder / "policy.toml"
        self.lab = KvmLab(folder, build, {
            "measured_boot": {"reference": str(self.reference)},
            "migration": {"encryption": "allow-none", "attestation": "required"}})
        self.mover = Mover(self.lab, folder)

    # ---- parts ---------------------------------------------------------------

    def prepare(self):
        report, lab = self.report, self.lab
        report.step("two libvirt hosts are up, each with a TPM filled from the event log of a real OVMF boot")
        self.policy.write_text(POLICY)
        write_reference(lab.side(A, "EVENTLOG"), self.reference)
        lab.start_agents(self.policy)
        for name, agent in lab.agents.items():
            report.fact(f"{name}", agent.vmsec("host", "info")["backend"] + " by libvirt, TPM filled by replay of a boot log")
        disk = self.folder / "disk.img"
        with open(disk, "wb") as file:
            file.truncate(64 << 20)
        lab.create_domain(A, DISK_GUEST, MEMORY, f"marker={MARKER} dirty=16 rate=8 disk=1", disk=disk)
        lab.create_domain(A, CPU_GUEST, 64, "cpu=1")
        report.step(f"guests {DISK_GUEST} ({MEMORY} MiB, dirties memory, reads its disk) and {CPU_GUEST} (burns CPU) run on {A}")

    def limits(self):
        report, agent = self.report, self.lab.agents[A]
        report.section("Isolation and throttling on the first host")
        free_cpu, free_disk = self.rates(A, 2)
        first = agent.vmsec("policy", "apply")
        changed = sum(len(entry.get("changes", [])) for entry in first["domains"])
        again = sum(len(entry.get("changes", [])) for entry in agent.vmsec("policy", "apply")["domains"])
        report.check("policy applied: values changed", changed, changed >= 3, ">= 3")
        report.check("policy applied again: values changed", again, again == 0, "0")
        report.fact("without limits", f"CPU {free_cpu / 10:.0f} %, disk {free_disk / 1e6:.0f} MB/s")
        self.check_rates(A)

    def rates(self, host, seconds):
        """CPU of the CPU guest (thousandths), disk rate of the disk guest (bytes/s), over some seconds."""
        agent = self.lab.agents[host]
        offset = len(self.lab.serial_text(host, DISK_GUEST))
        before, start = agent.domain(CPU_GUEST)["cpu_time"], time.monotonic()
        time.sleep(seconds)
        after, elapsed = agent.domain(CPU_GUEST)["cpu_time"], time.monotonic() - start
        text = self.lab.serial_text(host, DISK_GUEST)[offset:]
        return measure.cpu_share(before, after, elapsed), measure.disk_rate(text) or 0

    def check_rates(self, host):
        cpu, disk = self.rates(host, 6)
        self.report.check(f"CPU of {CPU_GUEST} on {host}", f"{cpu / 10:.1f} %", 0 < cpu <= CPU_LIMIT * 1.10,
                          f"<= {CPU_LIMIT / 10:.0f} % (+10 %)")
        self.report.check(f"disk of {DISK_GUEST} on {host}", f"{disk / 1e6:.2f} MB/s", 0 < disk <= DISK_LIMIT * 1.10,
                          f"<= {DISK_LIMIT / 1e6:.0f} MB/s (+10 %)")

    def attest(self):
        report = self.report
        report.section("Attestation")
        for host, peer in ((A, B), (B, A)):
            self.lab.agents[host].vmsec("attest", "enrol", peer)
        verdict = self.lab.agents[A].vmsec("attest", B)
        report.check(f"{B}'s boot", verdict["verdict"], verdict["verdict"] == "trusted", "trusted")

    def refuse_unproven(self):
        report, agent = self.report, self.lab.agents[A]
        tampered = self.folder / "tampered.bin"
        subprocess.run([str(TESTBED / "tpm/replay"), "tamper", "4", self.lab.side(B, "EVENTLOG"), str(tampered)], check=True,
                       capture_output=True)
        good = self.folder / "good.bin"
        shutil.copy(self.lab.side(B, "EVENTLOG"), good)
        self.reboot_b(tampered)
        report.step(f"{B} was \"rebooted\" with one byte of one measurement changed")
        outcome = self.mover.migrate(DISK_GUEST, A, B)
        report.check("migration to it", outcome["state"], outcome["state"] == "failed", "refused")
        report.check("guest bytes sent", outcome["bytes_sent"], outcome["bytes_sent"] == 0, "0")
        report.check(f"{DISK_GUEST} runs on at {A}", "yes", self.lab.runs_on(A, DISK_GUEST))
        shown = agent.show("audit", "show", "--state", agent.state).stdout
        why = next((line for line in shown.splitlines()[::-1] if "PCR" in line or "pcr" in line), "")
        report.check("the audit log says why", why.strip()[-90:], bool(why))
        self.reboot_b(good)
        verdict = self.lab.agents[A].vmsec("attest", B)
        report.check(f"{B} after a good boot", verdict["verdict"], verdict["verdict"] == "trusted", "trusted")

    def reboot_b(self, log):
        self.lab.testbed("refill-tpm", "b", str(log))

    def move(self, source, destination, cipher, expectation):
        """One migration under capture: ticks, marker on the wire, the figures."""
        report = self.report
        capture = self.folder / f"wire-{cipher}.pcap"
        self.capture("start", capture)
        watcher = self.watch(DISK_GUEST)
        status = self.mover.migrate(DISK_GUEST, source, destination, "--cipher", cipher)
        report.check(f"migration of {DISK_GUEST} to {destination}", status["state"], status["state"] == "completed",
                     "completed")
        if status["state"] != "completed":
            report.fact("cause", status["cause"])
        wait_for("the guest at its destination", lambda: self.lab.runs_on(destination, DISK_GUEST), 20)
        self.capture("stop", capture)
        found = self.find_marker(capture, expectation, status["bytes_sent"])
        report.check("its 64-byte marker in the captured link", f"{found['markers']} times", found["good"],
                     "0 times" if expectation == "absent" else "> 0 times")
        report.check("capture", f"{found['bytes'] / 1e6:.0f} MB reassembled, {found['dropped']} packets lost",
                     found["dropped"] == 0 and found["bytes"] >= status["bytes_sent"], f">= {status['bytes_sent'] / 1e6:.0f} MB, 0")
        watched = self.watched(watcher)
        report.check("the guest ran at both hosts", "never" if watched == 0 else f"watcher: {watched}", watched == 0, "never")
        report.check("the source has it no more", "yes", self.lab.agents[source].domain(DISK_GUEST) is None)
        self.figures(status)
        return status

    def figures(self, status):
        report = self.report
        report.fact("cipher", status["cipher"])
        report.fact("streams; on the wire", f"{status['streams']}; {status['bytes_sent'] / 1e6:.1f} MB")
        report.fact("total time; downtime", f"{status['total_time'] / 1e6:.2f} s; {status['downtime'] / 1e3:.0f} ms")
        report.fact("CPU of both agents", f"{(status['local_cpu'] + status['peer_cpu']) / 1e6:.2f} s")
        report.fact("attested", status["attested"])

    # ---- tools of the testbed -----------------------------------------------

    def capture(self, word, file):
        done = subprocess.run([str(TESTBED / "net/capture.sh"), word, str(file)], capture_output=True, text=True,
                              env=self.lab.environment())
        if done.returncode not in (0, 3):
            raise RuntimeError(f"capture.sh {word}: {done.stderr}")

    def find_marker(self, capture, expectation, least):
        done = subprocess.run([str(TESTBED / "net/find_marker.py"), str(capture), "--marker", MARKER, "--stats",
                               f"{capture}.stats", "--min-bytes", str(least), "--expect", expectation, "--json"],
                              capture_output=True, text=True)
        found = json.loads(done.stdout)
        return {"markers": found.get("markers", found.get("marker_count", -1)), "bytes": found.get("bytes", 0),
                "dropped": found.get("dropped", 0), "good": done.returncode == 0}

    def watch(self, name):
        return subprocess.Popen([str(TESTBED / "kvm/watch_ticks.py"), "--json", "--skip-existing", str(self.lab.serial(A, name)),
                                 str(self.lab.serial(B, name))], stdout=subprocess.PIPE, text=True)

    def watched(self, watcher):
        watcher.send_signal(signal.SIGTERM)
        watcher.communicate(timeout=30)
        return watcher.returncode

    # ---- the whole -------------------------------------------------------------

    def run(self):
        with self.lab:
            self.prepare()
            self.limits()
            self.attest()
            self.report.section("Only a proven host receives")
            self.refuse_unproven()
            self.report.section("Encrypted live migration")
            self.report.step("live migration, encrypted")
            self.move(A, B, "aes-128-gcm", "absent")
            self.report.section("The limits have moved with it")
            status = self.mover.migrate(CPU_GUEST, A, B)
            self.report.check(f"migration of {CPU_GUEST} to {B}", status["state"], status["state"] == "completed", "completed")
            self.check_rates(B)
            self.report.section("The same check, where it must find something: no encryption, authenticated only")
            self.report.step("live migration back, with --cipher none")
            self.move(B, A, "none", "present")
            self.report.section("Audit")
            for name, agent in self.lab.agents.items():
                done = agent.show("audit", "verify", agent.state / "audit.log", "--key", self.lab.pki.certificate(name))
                self.report.check(f"audit log of {name}", done.stdout.strip().splitlines()[0] if done.stdout else done.stderr,
                                  done.returncode == 0)
        return self.report.print()


if __name__ == "__main__":
    program.run(__doc__, "vmsec-demo-", lambda folder, build: Demo(folder, build).run())
