"""The ways to move a guest that are compared: vmsec's own, by cipher and settings, and its peers'."""
import dataclasses
import itertools
import re

from . import units
from .errors import UsageError

CIPHERS = ("aes-128-gcm", "aes-256-gcm", "chacha20-poly1305", "none")
SUITES = ("bulk", "tls")
ACCELERATORS = ("evp", "vaes")
PEERS = ("qemu-plain", "qemu-tls", "qemu-tls-multifd-2", "libvirt-tunnelled", "socat-openssl")
DEFAULT = ("vmsec", *PEERS)
MULTIFD = re.compile(r"(qemu-plain|qemu-tls)-multifd-([1-9]|[1-5]\d|6[0-4])")


@dataclasses.dataclass(frozen=True)
class Way:
    """One way. `kind` is "vmsec", "qemu", "tunnelled" or "socat"."""
    name: str
    kind: str
    tls: bool = False
    streams: int = 1  # that carry memory
    cipher: str = ""
    suite: str = "bulk"
    accelerator: str = "evp"
    record_size: str = ""  # empty: the module's own

    def settings(self):
        """What the migration module has to be told, by setting; its defaults too."""
        wanted = {"suite": self.suite, "accelerator": self.accelerator}
        return wanted | ({"record_size": self.record_size} if self.record_size else {})

    def is_default(self, setting):
        return {"suite": self.suite == "bulk", "accelerator": self.accelerator == "evp"}.get(setting, False)


def vmsec_way(cipher, suite="bulk", accelerator="evp", streams=1, record_size=""):
    parts = ["vmsec", cipher]
    parts += [suite] if suite != "bulk" else []
    parts += [accelerator] if accelerator != "evp" else []
    parts += [f"{streams}-streams"] if streams != 1 else []
    parts += [record_size] if record_size else []
    return Way("-".join(parts), "vmsec", cipher != "none", streams, cipher, suite, accelerator, record_size)


def peer(name):
    if match := MULTIFD.fullmatch(name):
        return Way(name, "qemu", match[1] == "qemu-tls", int(match[2]))
    known = {"qemu-plain": Way(name, "qemu"), "qemu-tls": Way(name, "qemu", True),
             "libvirt-tunnelled": Way(name, "tunnelled", True), "socat-openssl": Way(name, "socat", True)}
    if name not in known:
        raise UsageError(f'--ways: "{name}" is unknown; there are vmsec (by --cipher and the like), '
                         f'{", ".join("vmsec-" + cipher for cipher in CIPHERS)}, {", ".join(PEERS)}, '
                         "qemu-plain-multifd-N, qemu-tls-multifd-N")
    return known[name]


def vmsec_matrix(options):
    """Every combination of what is asked for; "none" has neither suite nor accelerator, and "tls" no accelerator."""
    axes = (units.choices("--cipher", options.cipher, CIPHERS), units.choices("--suite", options.suite, SUITES),
            units.choices("--accelerator", options.accelerator, ACCELERATORS),
            units.whole_numbers("--streams", options.streams, 1, 64), record_sizes(options.record_size))
    found = {}
    for cipher, suite, accelerator, streams, record_size in itertools.product(*axes):
        suite = "bulk" if cipher == "none" else suite
        accelerator = "evp" if cipher == "none" or suite == "tls" else accelerator
        way = vmsec_way(cipher, suite, accelerator, streams, record_size)
        found[way.name] = way
    return list(found.values())


def record_sizes(text):
    sizes = ["" if part == "default" else part for part in text.split(",")]
    for each in filter(None, sizes):
        units.size("--record-size", each)
    return units.unique("--record-size", sizes)


def parse(options):
    """The ways that --ways and the axes of vmsec's own ask for, in that order."""
    found = {}
    for name in units.unique("--ways", options.ways.split(",")):
        cipher = name.removeprefix("vmsec-")
        if name == "vmsec":
            ways = vmsec_matrix(options)
        else:
            ways = [vmsec_way(cipher)] if name.startswith("vmsec-") and cipher in CIPHERS else [peer(name)]
        found |= {way.name: way for way in ways}
    return list(found.values())
