"""One run: the cells of a matrix, in order, each once."""
import contextlib
import sys
import tempfile

from lab.agent import CommandFailed

from . import machine
from .errors import EnvironmentFailure
from .matrix import why_not
from .migration import MigrationFailed
from .probe import Settings
from .progress import Progress
from .state import State

FAILURES = (MigrationFailed, CommandFailed, TimeoutError, RuntimeError)


def identity(matrix, build):
    return {"matrix": matrix.describe(), "commit": machine.commit(), "build type": machine.build_type(build), "cpu": machine.processor()}


def open_hypervisor(name, folder, build, seed):
    if name == "sim":
        from .sim import SimBench as Bench
    else:
        from .kvm import KvmBench as Bench
    return Bench(folder, build, seed)


class Run:
    def __init__(self, matrix, build, out, fresh=False):
        self.matrix, self.build = matrix, build
        self.identity = identity(matrix, build)
        self.state = State(out, self.identity, fresh)
        self.missing = {}  # (hypervisor or "", way's name, reason) to nothing: an ordered set
        self.failed = []

    def run(self):
        """Fills the state; what could not be is in `missing` and `failed`."""
        self.state.begin(self.identity, machine.facts(self.build))
        with tempfile.TemporaryDirectory(prefix="vmsec-bench-") as folder:
            cells = self.possible(Settings(f"{folder}/probe", self.build))
            left = [cell for cell in cells if not self.state.finished(cell[0].key(), cell[1], cell[2].name)]
            self.progress = Progress(len(cells), len(cells) - len(left))
            if len(left) < len(cells):
                print(f"{len(cells) - len(left)} of {len(cells)} cells are there already", file=sys.stderr)
            for hypervisor in dict.fromkeys(cell[0].hypervisor for cell in left):
                self.measure(hypervisor, [cell for cell in left if cell[0].hypervisor == hypervisor], f"{folder}/{hypervisor}")

    def possible(self, settings):
        """The cells that can be, with what the module is told in each."""
        cells = []
        for block, number, way in self.matrix.cells():
            told, reason = {}, why_not(block, way)
            if reason is None and way.kind == "vmsec":
                told, reason = settings.of(way)
            if reason is None:
                cells.append((block, number, way, told))
            else:
                self.missing[block.hypervisor, way.name, reason] = None
        return cells

    def measure(self, hypervisor, cells, folder):
        with contextlib.ExitStack() as stack:
            try:
                bench = stack.enter_context(open_hypervisor(hypervisor, folder, self.build, self.matrix.seed))
            except (RuntimeError, TimeoutError, FileNotFoundError, PermissionError) as failure:
                raise EnvironmentFailure(f"{hypervisor}: {failure}") from None
            block = None
            for cell in cells:
                if cell[0] != block:
                    block = cell[0]
                    bench.begin(block)
                self.measure_cell(bench, *cell)

    def measure_cell(self, bench, block, number, way, told):
        what = f"{block.title()}: round {number}: {way.name}"
        self.progress.begin(what)
        try:
            result = {"figures": bench.run(way, told)}
            text = f"{result['figures']['transfer_s']:.2f} s ({result['figures']['command_s']:.2f} s with the command)"
        except FAILURES as failure:
            result = {"error": str(failure)}
            self.failed.append(f"{what}: {failure}")
            text = f"FAILED: {failure}"
        self.state.add(block.key(), number, way.name, result)
        self.progress.end(f"{what}: {text}")
