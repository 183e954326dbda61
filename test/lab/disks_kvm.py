#!/usr/bin/env python3
"""All that belongs to a guest moves under one protection: memory, its disk and its TPM, over the one port between two agents.

    disks_kvm.py BUILD_DIR [--keep]

A QEMU guest with a raw disk of 256 MiB, a small one in qcow2 and a TPM moves from one libvirt host to the other, which has none of them.
The disk is noise with a marker in it, and the guest writes it while it is copied; in the TPM a marker is stored. Every byte on the link is recorded: no marker is
in it, and what arrives is right to the last byte. Then back with --cipher none, where the markers must be found. Then what goes wrong:
an image that is there already, a copy that is aborted, and a destination that is killed in the middle of one. Needs root.
"""
import contextlib
import hashlib
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab import program  # noqa: E402
from lab.agent import wait_for  # noqa: E402
from lab.kvm import HOSTS, TESTBED, KvmLab  # noqa: E402
from lab.move import MIGRATION_ALONE, Mover  # noqa: E402
from lab.report import Report  # noqa: E402

A, B = HOSTS
GUEST = "web-disk"
SIZE = 256 << 20
CHUNK = 256 << 10  # the guest writes one a tick
CHUNKS = 64
IMAGES = pathlib.Path("/var/lib/libvirt/images")  # of each host its own: the testbed mounts it
# A second one in another format, and one that is nobody's to write: the destination has it.
MORE_DISKS = "".join(f"""
    <disk type='file' device='disk'>
      <driver name='qemu' type='{format}' cache='none'/><source file='{IMAGES}/{file}'/><target dev='{target}' bus='virtio'/>{more}
    </disk>""" for format, file, target, more in (("qcow2", "more.qcow2", "vdb", ""), ("raw", "tools.img", "vdc", "<readonly/>")))
IMAGE_NAMES = ["more.qcow2", "web.img"]
COPIED = "vda copied; vdb copied; vdc not: read-only"
NV_INDEX = "0x1500016"
MEMORY_MARKER, DISK_MARKER, TPM_MARKER = "vmsec-memory-marker", "vmsec-disk-marker", "vmsec-tpm-marker"


def padded(marker):
    return marker.encode().ljust(64, b".")


def noise():
    """The disk at first, one MiB after another: each is noise of its own with the marker in its middle."""
    for number in range(SIZE >> 20):
        block = bytearray(hashlib.shake_128(number.to_bytes(4, "little")).digest(1 << 20))
        block[1 << 19:(1 << 19) + 64] = padded(DISK_MARKER)
        yield bytes(block)


def written(number):
    """What the guest writes as its request of this number."""
    block = bytearray(padded(MEMORY_MARKER) * (CHUNK // 64))
    block[:4] = number.to_bytes(4, "little")
    return bytes(block)


def digest_of(file):
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


class Tpm:
    """A guest's TPM while the guest is off: swtpm on the state that libvirt keeps for it."""

    def __init__(self, folder, state):
        self.socket = folder / "vtpm.sock"
        self.state = state

    def __enter__(self):
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.state}", "--server", f"type=unixio,path={self.socket}",
             "--ctrl", f"type=unixio,path={self.socket}.ctrl", "--flags", "not-need-init,startup-clear"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("the guest's TPM", self.socket.exists, 10)
        return self

    def __exit__(self, *failure):
        self.process.terminate()
        self.process.wait(20)
        for path in (self.socket, pathlib.Path(f"{self.socket}.ctrl")):
            path.unlink(missing_ok=True)

    def tool(self, name, *arguments, given=None):
        done = subprocess.run([name, "-T", f"swtpm:path={self.socket}", *map(str, arguments)], input=given, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def store(self, content):
        self.tool("tpm2_nvdefine", NV_INDEX, "-C", "o", "-s", len(content), "-a", "ownerread|ownerwrite")
        self.tool("tpm2_nvwrite", NV_INDEX, "-C", "o", "-i", "-", given=content)

    def stored(self):
        return self.tool("tpm2_nvread", NV_INDEX, "-C", "o")

    def endorsement_key(self):
        """Made from the TPM's seed: another TPM has another."""
        key = self.socket.with_suffix(".key")
        self.tool("tpm2_createprimary", "-Q", "-C", "e", "-G", "ecc", "-f", "pem", "-o", key, "-c", f"{key}.context")
        return digest_of(key)


class Disks:
    def __init__(self, folder, build):
        self.folder = pathlib.Path(folder)
        self.report = Report("vmsec: a guest's disk and TPM move with it")
        self.lab = KvmLab(folder, build, {"migration": {"encryption": "allow-none", "attestation": "none"}})
        self.lab.settings = {"incoming.disk_roots": f"{folder},{IMAGES}", "incoming.copy_roots": str(IMAGES)}
        self.mover = Mover(self.lab, folder)

    # ---- places ----------------------------------------------------------------

    def image(self, host, name="web.img"):
        """The image as it is on that host, seen from here."""
        return pathlib.Path(self.lab.side(host, "LIB_DIR")) / "images" / name

    def tpm_state(self, host):
        return pathlib.Path(self.lab.side(host, "LIB_DIR")) / "swtpm" / self.uuid / "tpm2"

    def left(self, host):
        """What was made in the host's folder of images."""
        return sorted(path.name for path in self.image(host).parent.iterdir() if path.name != "tools.img")

    def remove(self, host):
        """As an operator does, once the guest is gone: what it left there is in its way."""
        for name in IMAGE_NAMES:
            self.image(host, name).unlink()

    def content(self, image):
        """SHA-256 of what a guest sees of a qcow2 image."""
        raw = self.folder / "content.raw"
        subprocess.run(["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", str(image), str(raw)], check=True)
        return digest_of(raw)

    # ---- the guest ---------------------------------------------------------------

    def prepare(self):
        lab = self.lab
        policy = self.folder / "policy.toml"
        policy.write_text(MIGRATION_ALONE)
        lab.start_agents(policy)
        for host in HOSTS:
            self.image(host).parent.mkdir(parents=True, exist_ok=True)
            self.image(host, "tools.img").write_bytes(bytes(1 << 20))
        whole, moved = hashlib.sha256(), hashlib.sha256()
        prefix = b"".join(written(number) for number in range(CHUNKS))
        with open(self.image(A), "wb") as file:
            for number, block in enumerate(noise()):
                file.write(block)
                whole.update(block)
                moved.update(prefix[number << 20:(number + 1) << 20] or block)
        self.before, self.after = whole.hexdigest(), moved.hexdigest()
        assert digest_of(self.image(A)) == self.before
        some = self.folder / "some.raw"
        some.write_bytes(next(noise()) * 8)
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(some), str(self.image(A, "more.qcow2"))], check=True)
        self.more = digest_of(some)
        xml = self.folder / "guest.xml"
        line = f"marker={MEMORY_MARKER} diskwrite={CHUNKS} diskkb={CHUNK >> 10}"
        text = subprocess.run(
            [*lab.env["TB_ENTER"].split(), A[-1], str(TESTBED / "kvm/mkdom.sh"), "--name", GUEST, "--mem", "48", "--cmdline", line,
             "--writable-disk", str(IMAGES / "web.img"), "--vtpm"],
            capture_output=True, text=True, check=True, env=lab.environment()).stdout
        xml.write_text(text.replace("</devices>", MORE_DISKS + "\n  </devices>"))
        lab.virsh(A, "define", xml)
        self.uuid = lab.virsh(A, "domuuid", GUEST).strip()
        # libvirt makes the TPM at the first start; nobody looks at the guest meanwhile.
        lab.virsh(A, "start", GUEST, "--paused")
        lab.virsh(A, "destroy", GUEST)
        with Tpm(self.folder, self.tpm_state(A)) as tpm:
            tpm.store(padded(TPM_MARKER))
            self.endorsement = tpm.endorsement_key()
        self.report.step("two libvirt hosts are up; the guest's disk (256 MiB) and TPM are at the first")

    def start(self):
        self.lab.virsh(A, "start", GUEST)
        wait_for("the guest", lambda: self.lab.last_tick(A, GUEST) > 0, 60)

    # ---- moves -------------------------------------------------------------------

    def capture(self, word, file):
        done = subprocess.run([str(TESTBED / "net/capture.sh"), word, str(file)], capture_output=True, text=True,
                              env=self.lab.environment())
        if done.returncode not in (0, 3):
            raise RuntimeError(f"capture.sh {word}: {done.stderr}")

    def find(self, capture, marker, expectation, least):
        done = subprocess.run([str(TESTBED / "net/find_marker.py"), str(capture), "--marker", marker, "--stats",
                               f"{capture}.stats", "--min-bytes", str(least), "--expect", expectation, "--json"],
                              capture_output=True, text=True)
        found = json.loads(done.stdout)
        self.report.check(f"{marker} in the {found.get('bytes', 0) / 1e6:.0f} MB of the link", f"{found.get('markers', -1)} times",
                          done.returncode == 0, "0 times" if expectation == "absent" else "> 0 times")

    def move(self, source, destination, cipher, expectation):
        report = self.report
        report.section(f"{source} to {destination}, cipher {cipher}")
        capture = self.folder / f"wire-{cipher}.pcap"
        self.capture("start", capture)
        status = self.mover.migrate(GUEST, source, destination, "--copy-disks", "--cipher", cipher)
        report.check("migration", status["state"] + " " + status.get("cause", ""), status["state"] == "completed", "completed")
        report.check("disks, as the report has them", status.get("disks"), status.get("disks") == COPIED, COPIED)
        report.check("sent", f"{status['guest_bytes'] / 1e6:.0f} MB in {status['streams']} streams", status["guest_bytes"] > SIZE,
                     f"> {SIZE / 1e6:.0f} MB")
        report.check("the guest's ticks go on", "yes", self.lab.runs_on(destination, GUEST))
        report.check(f"TPM state at {source}", "none", not self.tpm_state(source).exists())
        report.check(f"files at {destination}", " ".join(self.left(destination)), self.left(destination) == IMAGE_NAMES, " ".join(IMAGE_NAMES))
        self.capture("stop", capture)
        for marker in (DISK_MARKER, MEMORY_MARKER, TPM_MARKER):
            self.find(capture, marker, expectation, status["bytes_sent"])
        capture.unlink()
        return status

    def there(self):
        """The guest has moved, and wrote on: its disk at the new host, whole."""
        report = self.report
        at_first = self.lab.serial_text(A, GUEST).count("tick ")
        report.fact("ticks at the source, each with a write", at_first)
        wait_for("the guest's last write", lambda: any("disk written" in self.lab.serial_text(host, GUEST) for host in HOSTS), 60)
        digest = digest_of(self.image(B))
        report.check("SHA-256 of the disk: noise, and all that the guest wrote at both hosts", digest[:16], digest == self.after,
                     self.after[:16])
        more = self.content(self.image(B, "more.qcow2"))
        report.check("SHA-256 of the one in qcow2", more[:16], more == self.more, self.more[:16])

    def back(self):
        """The guest does not write any more: what it left and what it has are the same."""
        digest = digest_of(self.image(A))
        self.report.check("SHA-256 of the disk here", digest[:16], digest == self.after, self.after[:16])
        left = digest_of(self.image(B))
        self.report.check(f"SHA-256 of the image that stayed at {B}", left[:16], left == digest, digest[:16])
        more = self.content(self.image(A, "more.qcow2"))
        self.report.check("SHA-256 of the one in qcow2", more[:16], more == self.more, self.more[:16])

    def tpm(self, host, other):
        """The guest is off: what its TPM holds."""
        self.lab.virsh(host, "destroy", GUEST)
        with Tpm(self.folder, self.tpm_state(host)) as tpm:
            stored, key = tpm.stored(), tpm.endorsement_key()
        self.report.check(f"the TPM's memory at {host}", stored.rstrip(b".").decode(errors="replace"), stored == padded(TPM_MARKER), TPM_MARKER)
        self.report.check("its endorsement key", key[:16], key == self.endorsement, self.endorsement[:16])
        self.report.check(f"TPM state left at {other}", "none", not self.tpm_state(other).exists())

    # ---- what goes wrong -----------------------------------------------------------

    def refused(self, what, status, *words):
        cause = status.get("cause", "")
        self.report.check(what, f"{status['state']}: ... {cause[-50:]}", status["state"] == "failed" and all(word in cause for word in words),
                          "refused")

    def goes_on(self, source):
        self.report.check("the guest runs on", "yes", self.lab.runs_on(source, GUEST))

    def occupied(self):
        """The image that the first move left is in the way of the second."""
        self.report.section("An image that is there already")
        old = digest_of(self.image(A))
        self.refused("migration back to it", self.mover.migrate(GUEST, B, A, "--copy-disks"), "already", "web.img")
        self.report.check(f"files at {A}", " ".join(self.left(A)), self.left(A) == IMAGE_NAMES, " ".join(IMAGE_NAMES))
        self.report.check("the old image", "as it was", digest_of(self.image(A)) == old)
        self.goes_on(B)
        without = self.mover.migrate(GUEST, B, A)
        self.refused("without --copy-disks", without)
        self.report.check("the old image", "as it was", digest_of(self.image(A)) == old)
        self.remove(A)

    def mid_copy(self):
        """A slow migration whose disk is partly there."""
        begun = self.mover.migrate(GUEST, A, B, "--copy-disks", "--bandwidth", "20MB/s", "--detach")
        wait_for("the middle of the copy", lambda: self.mover.latest(A, GUEST)["guest_bytes"] > 24 << 20, 30)
        self.report.check("in mid-copy there are images", "yes", set(IMAGE_NAMES) < set(self.left(B)))
        return begun["migration"]

    def ended(self, state):
        with contextlib.suppress(TimeoutError):
            wait_for("the migration's end", lambda: self.mover.latest(A, GUEST)["state"] in ("failed", "in doubt"), 60)
        status = self.mover.latest(A, GUEST)
        self.report.check("the migration", f"{status['state']}: ... {status['cause'][-90:]}", status["state"] == state, state)
        self.goes_on(A)

    def gone(self):
        with contextlib.suppress(TimeoutError):
            wait_for("the image's end", lambda: not self.left(B), 30)
        self.report.check(f"images left at {B}", " ".join(self.left(B)) or "none", not self.left(B), "none")
        here = digest_of(self.image(A))
        self.report.check("the disk at the source", here[:16], here == self.after, self.after[:16])

    def failures(self):
        self.remove(B)
        self.report.section("A copy that is aborted")
        self.lab.agents[A].vmsec("migrate", "abort", self.mid_copy())
        self.ended("failed")
        self.gone()
        self.report.section("A destination that is killed in mid-copy")
        self.mid_copy()
        self.lab.agents[B].kill()
        self.ended("failed")
        self.report.check("the images, with nobody to remove them", "there", set(IMAGE_NAMES) < set(self.left(B)))
        self.lab.agents[B].start()
        self.lab.agents[B].show("migrate", "resolve")
        self.gone()

    # ---- the whole -----------------------------------------------------------------

    def run(self):
        with self.lab:
            self.prepare()
            self.start()
            self.report.step("the guest runs, and writes its disk")
            self.move(A, B, "aes-128-gcm", "absent")
            self.there()
            self.occupied()
            self.move(B, A, "none", "present")
            self.back()
            self.failures()
            self.report.section("The TPM, after all of that")
            self.tpm(A, B)
        return self.report.print()


if __name__ == "__main__":
    program.run(__doc__, "vmsec-disks-", lambda folder, build: Disks(folder, build).run())
