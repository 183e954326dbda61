import pathlib
import tempfile
import unittest

import bench_path  # noqa: F401
from vmsec_bench.errors import UsageError
from vmsec_bench.state import State

IDENTITY = {"matrix": {"seed": 1}, "commit": "abc"}


class Resume(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def state(self, identity=None, fresh=False):
        return State(self.folder.name, identity or IDENTITY, fresh)

    def begun(self):
        state = self.state()
        state.begin(IDENTITY, {"cpu": "x"})
        return state

    def file(self):
        return pathlib.Path(self.folder.name) / "state.jsonl"

    def test_a_finished_cell_is_there_after_an_interruption(self):
        self.begun().add("block", 1, "vmsec-none", {"figures": {"transfer_s": 1.5}})
        again = self.state()
        self.assertTrue(again.finished("block", 1, "vmsec-none"))
        self.assertFalse(again.finished("block", 2, "vmsec-none"))
        self.assertEqual(again.figures("block", 1, "vmsec-none"), {"transfer_s": 1.5})
        self.assertEqual(again.facts, {"cpu": "x"})

    def test_a_failed_cell_is_tried_again(self):
        self.begun().add("block", 1, "vmsec-none", {"error": "it broke"})
        self.assertFalse(self.state().finished("block", 1, "vmsec-none"))

    def test_a_line_that_was_cut_off_counts_as_not_there_and_harms_no_later_one(self):
        self.begun().add("block", 1, "one", {"figures": {}})
        with open(self.file(), "ab") as out:
            out.write(b'{"kind": "cell", "block": "block", "rou')
        state = self.state()
        state.begin(IDENTITY, {})
        state.add("block", 1, "two", {"figures": {}})
        again = self.state()
        self.assertTrue(again.finished("block", 1, "one"))
        self.assertTrue(again.finished("block", 1, "two"))

    def test_another_run_in_the_same_folder_is_refused(self):
        self.begun()
        with self.assertRaisesRegex(UsageError, "another commit: give another --out, or --fresh"):
            self.state(IDENTITY | {"commit": "def"})

    def test_fresh_forgets_what_was_there(self):
        self.begun().add("block", 1, "one", {"figures": {}})
        self.assertFalse(self.state(IDENTITY | {"commit": "def"}, fresh=True).finished("block", 1, "one"))
