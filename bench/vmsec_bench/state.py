"""The state of a run: one JSON line for its beginning and one for each cell, so that an interruption costs one cell at most."""
import json
import os
import pathlib

from .errors import UsageError


class State:
    """Cells that are finished. `identity` is what must not change between the parts of one run."""

    def __init__(self, folder, identity, fresh=False):
        self.file = pathlib.Path(folder) / "state.jsonl"
        self.cells = {}
        self.facts = None
        if fresh:
            self.file.unlink(missing_ok=True)
        if self.file.exists():
            self._read(identity)

    def _read(self, identity):
        for line in self.file.read_bytes().split(b"\n")[:-1]:  # what has no end of line was cut off
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry["kind"] == "run":
                self._compare(entry["identity"], identity)
                self.facts = entry["facts"]
            elif "error" not in entry:
                self.cells[self.key(entry["block"], entry["round"], entry["way"])] = entry

    def _compare(self, before, now):
        for key, value in now.items():
            if before.get(key) != value:
                raise UsageError(f"{self.file}: holds a run with another {key}: give another --out, or --fresh to begin anew")

    @staticmethod
    def key(block, number, way):
        return f"{block} {number} {way}"

    def begin(self, identity, facts):
        """Once a run; what was there stays."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        if self.facts is None:
            self.facts = facts
            self._append({"kind": "run", "identity": identity, "facts": facts})
        else:
            self._end_cut_line()

    def finished(self, block, number, way):
        return self.key(block, number, way) in self.cells

    def add(self, block, number, way, result):
        """`result`: {"figures": ...} or {"error": text}. A cell with an error is tried again by the next run."""
        entry = {"kind": "cell", "block": block, "round": number, "way": way, **result}
        if "error" not in result:
            self.cells[self.key(block, number, way)] = entry
        self._append(entry)

    def figures(self, block, number, way):
        entry = self.cells.get(self.key(block, number, way))
        return entry["figures"] if entry else None

    def _end_cut_line(self):
        if not self.file.read_bytes().endswith(b"\n"):
            with open(self.file, "ab") as out:
                out.write(b"\n")

    def _append(self, entry):
        with open(self.file, "ab") as out:
            out.write(json.dumps(entry, sort_keys=True).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
