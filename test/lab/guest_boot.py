#!/usr/bin/env python3
"""A guest's own measured boot, proven to its host by the guest's TPM, and a secret for it when it is trusted.

    guest_boot.py BUILD_DIR [--keep]

On a libvirt host a VM with a TPM (swtpm behind libvirt) is started by OVMF and Linux, in it the agent vmsec-guest on a virtio
serial port. It is enrolled with the certificate of its TPM's maker, its boot is learned, it is attested and gets a secret. Then one byte is
changed: in the command line, in the initrd, in the kernel; each boot is refused by the PCR that differs, and no secret leaves. The state of
its TPM is copied under another VM: refused, and the first VM is named. Off, it is unreachable; booted as before, trusted again. Needs root.
"""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab import program  # noqa: E402
from lab.agent import wait_for  # noqa: E402
from lab.kvm import TESTBED, KvmLab  # noqa: E402
from lab.report import Report  # noqa: E402

HOST = "host-a"
WEB, COPY = "web-sealed", "web-copy"
UUIDS = {WEB: "6a1c2f30-57d4-4c07-9e11-0c5d3f8a1b01", COPY: "6a1c2f30-57d4-4c07-9e11-0c5d3f8a1b02"}
LINE = "console=ttyS0 quiet mode=a"
PATIENCE = 150  # OVMF and Linux in an emulation, on a machine that has other work
POLICY = """\
version = 1
[[grant]]
module = "measured_boot"
vm = "*"
interfaces = ["vmsec.BootEvidence"]
"""
XML = """\
<domain type='qemu'>
  <name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>256</memory><vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>
    <nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'/>
    <kernel>{kernel}</kernel><initrd>{initrd}</initrd><cmdline>{line}</cmdline>
  </os>
  <features><acpi/></features>
  <on_poweroff>destroy</on_poweroff><on_reboot>destroy</on_reboot><on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <serial type='file'><source path='/var/log/libvirt/qemu/serial-{name}.log' append='off'/></serial>
    <channel type='unix'><target type='virtio' name='org.vmsec.attestation.0'/></channel>
    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def changed(file, what, out):
    """A copy of the file with one bit of the first place of `what` changed; it is as long."""
    content = bytearray(file.read_bytes())
    content[content.index(what)] ^= 1
    out.write_bytes(content)
    return out


class GuestBoot:
    def __init__(self, folder, build):
        self.folder = pathlib.Path(folder)
        self.build = pathlib.Path(build).resolve()
        self.report = Report("vmsec: a guest's measured boot, and a secret for it")
        self.references = self.folder / "guests"
        self.roots = self.folder / "guest_roots.pem"
        self.lab = KvmLab(folder, build, {
            "measured_boot": {"guest_references": str(self.references), "guest_ek_roots": str(self.roots)}})
        self.secret = self.folder / "disk.key"

    # ---- the guest ---------------------------------------------------------------

    def prepare(self):
        made = self.folder / "linux"
        subprocess.run([str(TESTBED / "guest/mkagent.sh"), str(made), str(self.build / "bin/vmsec-guest")], check=True)
        self.kernel, self.initrd = made / "vmlinuz", made / "initrd.img"
        self.references.mkdir()
        self.secret.write_bytes(os.urandom(64))
        self.digest = hashlib.sha256(self.secret.read_bytes()).hexdigest()

    def define(self, name, **parts):
        file = self.folder / f"{name}.xml"
        file.write_text(XML.format(name=name, uuid=UUIDS[name], **{
            "kernel": self.kernel, "initrd": self.initrd, "line": LINE, **parts}))
        self.lab.virsh(HOST, "define", file)

    def start(self, name):
        """Firmware's variables are those of a new machine each time: OVMF writes and measures some."""
        self.lab.serial(HOST, name).unlink(missing_ok=True)
        self.lab.virsh(HOST, "start", name, "--reset-nvram")

    def wait(self, name):
        wait_for(f"the agent in {name}", lambda: "vmsec-guest: answers for" in self.lab.serial_text(HOST, name), PATIENCE)

    def boot(self, name, **parts):
        self.define(name, **parts)
        self.start(name)
        self.wait(name)

    def off(self, name):
        self.lab.virsh(HOST, "destroy", name)

    def tpm_state(self, name):
        return pathlib.Path(self.lab.side(HOST, "LIB_DIR")) / "swtpm" / UUIDS[name] / "tpm2"

    def trust_maker(self):
        """libvirt has had the guest's TPM made by the local authority of swtpm."""
        maker = pathlib.Path(self.lab.side(HOST, "LIB_DIR")).parent / "swtpm-localca"
        self.roots.write_text("".join((maker / name).read_text() for name in ("issuercert.pem", "swtpm-localca-rootca-cert.pem")))

    # ---- what is asked -----------------------------------------------------------

    def vmsec(self, *arguments):
        done = self.lab.agents[HOST].show(*arguments)
        return done.returncode, done.stdout + done.stderr

    def secrets_in(self, name):
        return re.findall(r"^SECRET (\S+) ([0-9a-f]{64})", self.lab.serial_text(HOST, name), re.M)

    def trusted(self, what):
        code, text = self.vmsec("attest", "guest", WEB)
        self.report.check(what, f"exit {code}", code == 0, "trusted: exit 0")
        if code != 0:
            self.report.step(text)

    def release(self):
        code, text = self.vmsec("attest", "release", WEB, "--secret-file", self.secret)
        self.report.check("attest release", text.strip().splitlines()[-1], code == 0, "exit 0")
        wait_for("the secret in the guest", lambda: self.secrets_in(WEB), 30)
        self.report.check("SHA-256 of it, as the guest says", self.secrets_in(WEB)[0][1][:16],
                          self.secrets_in(WEB) == [("disk.key", self.digest)], self.digest[:16])

    def refused(self, name, verdict, *words):
        """Attested and asked to be given the secret: neither goes."""
        wanted = {"untrusted": 3, "unreachable": 1}[verdict]
        code, text = self.vmsec("attest", "guest", name)
        cause = next((line.split(None, 1)[1] for line in text.splitlines() if line.strip().startswith("cause")), text)
        good = code == wanted and verdict in text and all(re.search(word, cause) for word in words)
        short = re.sub(r"\b([0-9a-f]{8})[0-9a-f]{56}\b", r"\1...", cause)
        self.report.check("attest guest", f"{verdict}: {short}", good, f"exit {wanted}")
        code, text = self.vmsec("attest", "release", name, "--secret-file", self.secret)
        self.report.check("attest release", text.strip().splitlines()[-1], code == wanted and "was not released" in text,
                          f"exit {wanted}")
        self.report.check("secrets in the guest", len(self.secrets_in(name)), not self.secrets_in(name), "0")

    # ---- the acts ----------------------------------------------------------------

    def first(self):
        lab, report = self.lab, self.report
        report.section("A guest that booted as it should")
        self.boot(WEB)
        self.trust_maker()
        policy = self.folder / "policy.toml"
        policy.write_text(POLICY)
        lab.start_agent(HOST, policy)
        code, text = self.vmsec("attest", "enrol", "--guest", WEB)
        report.check("attest enrol --guest, with the certificate of its TPM", f"exit {code}", code == 0, "exit 0")
        if code != 0:
            report.step(text)
        code, text = self.vmsec("attest", "learn", "--guest", WEB)
        report.check("attest learn --guest", f"exit {code}, {text.count('[pcr.')} PCRs", code == 0 and "[pcr.9]" in text, "exit 0")
        (self.references / "default.toml").write_text(text)
        self.trusted("attest guest")
        self.release()

    def tampered(self):
        changes = (
            ("the command line", {"line": LINE[:-1] + "b"}, r"PCR 9 "),
            ("the initrd", {"initrd": changed(self.initrd, b"." * 64, self.folder / "initrd.changed")}, r"PCR 9 "),
            ("the kernel", {"kernel": changed(self.kernel, b"debian-kernel@", self.folder / "vmlinuz.changed")}, r"PCR 4 "))
        for what, parts, pcr in changes:
            self.report.section(f"One byte changed in {what}")
            self.off(WEB)
            self.boot(WEB, **parts)
            self.refused(WEB, "untrusted", pcr, "first differing event")

    def copied(self):
        report = self.report
        self.off(WEB)
        report.section("The guest is off")
        self.refused(WEB, "unreachable", "does not run")
        state = self.tpm_state(COPY)
        shutil.copytree(self.tpm_state(WEB), state)
        for source, copy in ((self.tpm_state(WEB), state), *((path, state / path.name) for path in self.tpm_state(WEB).iterdir())):
            os.chown(copy, source.stat().st_uid, source.stat().st_gid)
        self.define(WEB)
        self.define(COPY)
        for name in (WEB, COPY):
            self.start(name)
        for name in (WEB, COPY):
            self.wait(name)
        report.section("A copy of its TPM's state under another VM")
        code, text = self.vmsec("attest", "enrol", "--guest", COPY)
        report.check("attest enrol --guest", text.strip().splitlines()[0].partition("its ")[2], code == 3 and UUIDS[WEB] in text, "exit 3")
        code, text = self.vmsec("attest", "enrol", "--guest", COPY, "--replace")
        report.check("with --replace", f"exit {code}", code == 3 and UUIDS[WEB] in text, "exit 3")
        self.refused(COPY, "untrusted", "not enrolled")
        report.section("The guest again as it was")
        self.trusted("attest guest")
        self.release()

    def run(self):
        self.prepare()
        with self.lab:
            self.report.step("a libvirt host is up")
            self.first()
            self.report.step("the guest is enrolled, learned, attested, and has its secret")
            self.tampered()
            self.report.step("three changed boots were refused")
            self.copied()
            log = self.lab.agents[HOST].log.read_text(errors="replace")
            self.report.check("the secret in vmsecd's log", "no", self.secret.read_bytes() not in log.encode(errors="replace"))
        return self.report.print()


if __name__ == "__main__":
    program.run(__doc__, "vmsec-guest-", lambda folder, build: GuestBoot(folder, build).run())
