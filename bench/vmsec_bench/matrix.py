"""What is measured: guests and links (blocks), and in each of them the ways, round by round."""
import dataclasses
import itertools
import random
import re

from . import units, ways
from .errors import UsageError

HYPERVISORS = ("kvm", "sim")
PATTERNS = ("sequential", "hot", "uniform")
LINK_KEYS = {"rate": r"unlimited|\d+(\.\d+)?(kbit|Mbit|Gbit)", "delay": r"\d+(\.\d+)?(us|ms)", "jitter": r"\d+(\.\d+)?(us|ms)",
             "loss": r"\d+(\.\d+)?%"}


@dataclasses.dataclass(frozen=True)
class Block:
    """What is the same for all ways that are compared with each other."""
    hypervisor: str
    memory: int      # MiB
    dirty_rate: int  # MiB/s; 0: idle
    dirty_set: int   # per cent of the memory that is written
    pattern: str
    fill: int        # per cent of the memory that holds noise; the rest are zero pages
    link: str        # "none", or what vmsec-link is told
    max_downtime: int = 0  # ms that the hypervisor aims at; 0: its own

    def title(self):
        load = "idle" if self.dirty_rate == 0 else f"{self.dirty_rate} MiB/s written to {self.dirty_set} % of it, {self.pattern}"
        link = "direct link" if self.link == "none" else f"link {self.link}"
        aim = f"; downtime of at most {self.max_downtime} ms aimed at" if self.max_downtime else ""
        return f"{self.hypervisor}: guest of {self.memory} MiB, {self.fill} % noise, {load}; {link}{aim}"

    def key(self):
        return "/".join(str(value) for value in dataclasses.astuple(self))


def parse_link(text):
    """"rate=1Gbit,delay=10ms" checked; vmsec-link checks the ranges once more."""
    if text == "none":
        return text
    seen = {}
    for part in text.split(","):
        key, _, value = part.partition("=")
        if key not in LINK_KEYS:
            raise UsageError(f'--link: "{key}" is unknown; want none, or some of rate=, delay=, jitter=, loss=')
        if key in seen or not re.fullmatch(LINK_KEYS[key], value):
            raise UsageError(f'--link: "{part}": want each once, as in rate=1Gbit,delay=10ms,jitter=1ms,loss=0.1%')
        seen[key] = value
    return ",".join(f"{key}={seen[key]}" for key in LINK_KEYS if key in seen)


def link_options(link):
    """The same as words for vmsec-link's command line."""
    return [word for part in link.split(",") for word in (f"--{part.partition('=')[0]}", part.partition("=")[2])]


def blocks(options):
    axes = (units.choices("--hypervisor", options.hypervisor, HYPERVISORS),
            units.whole_numbers("--memory", options.memory, 64, 3072),
            units.whole_numbers("--dirty-rate", options.dirty_rate, 0, 4096),
            units.whole_numbers("--dirty-set", options.dirty_set, 1, 100),
            units.choices("--pattern", options.pattern, PATTERNS),
            units.whole_numbers("--fill", options.fill, 1, 100),
            units.unique("--link", [parse_link(link) for link in options.link or ["none"]]),
            units.whole_numbers("--max-downtime", options.max_downtime, 0, 60000))
    found = {}
    for combination in itertools.product(*axes):
        block = Block(*combination)
        if block.dirty_rate == 0:  # an idle guest has no pattern
            block = dataclasses.replace(block, dirty_set=int(options.dirty_set.split(",")[0]), pattern=PATTERNS[0])
        found[block.key()] = block
    return list(found.values())


def why_not(block, way):
    """Why a cell cannot be: None if it can."""
    if block.hypervisor == "sim" and way.kind != "vmsec":
        return "the simulated hypervisor has neither QEMU nor libvirt"
    if block.hypervisor == "kvm" and block.pattern != "sequential" and block.dirty_rate:
        return "the bare guest writes sequentially only"
    if block.hypervisor == "kvm" and way.kind == "tunnelled" and way.streams > 1:
        return "libvirt has no tunnel for parallel streams"
    return None


@dataclasses.dataclass(frozen=True)
class Matrix:
    blocks: list
    ways: list
    rounds: int
    seed: int

    @staticmethod
    def parse(options):
        if not 1 <= options.rounds <= 1000:
            raise UsageError(f"--rounds: {options.rounds}: want 1 to 1000")
        return Matrix(blocks(options), ways.parse(options), options.rounds, options.seed)

    def order(self, block, number):
        """The ways of one round: shuffled, the same for the same seed, however often the run was interrupted."""
        shuffled = list(self.ways)
        random.Random(f"{self.seed} {block.key()} {number}").shuffle(shuffled)
        return shuffled

    def cells(self):
        for block in self.blocks:
            for number in range(1, self.rounds + 1):
                for way in self.order(block, number):
                    yield block, number, way

    def describe(self):
        """What makes two runs the same but for the number of rounds."""
        return {"blocks": [dataclasses.asdict(block) for block in self.blocks],
                "ways": [dataclasses.asdict(way) for way in self.ways], "seed": self.seed}
