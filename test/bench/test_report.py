import csv
import html.parser
import io
import re
import tempfile
import unittest

import bench_path  # noqa: F401
from vmsec_bench import cli, matrix, page, report, svg
from vmsec_bench.state import State

VOID = {"meta", "br"}


class Checker(html.parser.HTMLParser):
    """Every tag is closed by its own; collects what refers to elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.mismatched, self.references, self.tags = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [value for name, value in attributes if name in ("src", "href", "xlink:href", "action", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.mismatched.append(tag)


def results(failed=()):
    """Of a run with two memory sizes, in which a way of the second failed."""
    options = cli.parser().parse_args(["migrate", "b", "--memory", "256,512", "--rounds", "5", "--ways", "vmsec-none,qemu-plain,qemu-tls,socat-openssl"])
    found = matrix.Matrix.parse(options)
    with tempfile.TemporaryDirectory() as folder:
        state = State(folder, {})
        state.begin({}, {"cpu": "<b>&\"", "memory_bytes": 1 << 34, "cpu_flags": ["aes"]})
        for block, number, way in found.cells():
            if (block.memory, way.name) != (512, "socat-openssl"):
                seconds = {"vmsec-none": 1, "qemu-plain": 2, "qemu-tls": 4, "socat-openssl": 3}[way.name] + number / 100
                state.add(block.key(), number, way.name, {"figures": {"transfer_s": seconds, "command_s": seconds + 1, "cpu_s": 2.0,
                                                                      "throughput": 1e8, "wire_bytes": 3e8, "downtime_s": None}})
        return report.results(state, found, [("kvm", "vmsec-x-vaes", "accelerator: unknown <key>")], failed)


class Html(unittest.TestCase):
    def setUp(self):
        self.text = page.render(results(["kvm: round 1: <socat>"]))
        self.checker = Checker()
        self.checker.feed(self.text)
        self.checker.close()

    def test_it_is_well_formed(self):
        self.assertEqual((self.checker.mismatched, self.checker.open), ([], []))

    def test_it_refers_to_nothing_outside_itself(self):
        self.assertEqual(self.checker.references, [])
        self.assertNotRegex(self.text, r"https?:|url\(|@import|<script|<link|<img|<iframe")

    def test_what_machines_and_modules_say_is_text_and_no_markup(self):
        self.assertNotIn("<b>&", self.text)
        self.assertIn("&lt;b&gt;&amp;", self.text)
        self.assertIn("&lt;socat&gt;", self.text)
        self.assertIn("unknown &lt;key&gt;", self.text)

    def test_each_plot_has_a_label_and_each_axis_a_unit(self):
        plots = self.checker.tags.count("svg")
        self.assertEqual(len(re.findall(r'<svg [^>]*role="img" aria-label="[^"]+"', self.text)), plots)
        self.assertGreater(plots, 8)
        self.assertIn("Transfer time (s)", self.text)
        self.assertIn("Memory of the guest (MiB)", self.text)

    def test_it_is_made_for_light_and_dark(self):
        self.assertIn("prefers-color-scheme: dark", self.text)


class Results(unittest.TestCase):
    def test_the_reference_for_qemus_tls_is_its_fastest_setting_and_ratios_are_below_one_for_less(self):
        block = results()["blocks"][0]
        self.assertEqual(block["references"], {"QEMU TLS": "qemu-tls", "QEMU plain": "qemu-plain", "vmsec none": "vmsec-none",
                                               "socat OpenSSL": "socat-openssl"})
        self.assertAlmostEqual(block["ways"]["vmsec-none"]["ratios"]["QEMU TLS"]["transfer_s"]["median"], 1.03 / 4.03)
        self.assertNotIn("vmsec none", block["ways"]["vmsec-none"]["ratios"])

    def test_a_way_without_figures_is_in_no_table(self):
        self.assertNotIn("socat-openssl", results()["blocks"][1]["ways"])

    def test_csv_has_the_same_columns_in_each_line(self):
        rows = list(csv.reader(io.StringIO(report.as_csv(results()))))
        self.assertEqual({len(row) for row in rows}, {16})
        self.assertIn("256", {row[1] for row in rows})

    def test_the_text_names_what_is_not_there_and_what_failed(self):
        text = report.as_text(results(["a cell: it broke"]))
        self.assertIn("not there: vmsec-x-vaes on kvm: accelerator", text)
        self.assertIn("failed: a cell: it broke", text)


class Axes(unittest.TestCase):
    def test_marks_are_round_and_reach_beyond_the_highest_value(self):
        for high in (0.0123, 0.7, 1, 4.82, 99, 145, 3324, 8e9):
            marks = svg.ticks(high)
            self.assertEqual(marks[0], 0)
            self.assertGreaterEqual(marks[-1], high * 0.999)
            self.assertLessEqual(len(marks), 8)
        self.assertEqual(svg.ticks(0), [0, 1])
