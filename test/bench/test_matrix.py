import contextlib
import io
import unittest

import bench_path  # noqa: F401
from vmsec_bench import cli, matrix


def parsed(*words):
    return matrix.Matrix.parse(cli.parser().parse_args(["migrate", "build", *words]))


def refused(*words):
    with contextlib.redirect_stderr(io.StringIO()) as err:
        code = cli.main(["migrate", "nowhere", *words])
    return code, err.getvalue()


class Matrix(unittest.TestCase):
    def test_vmsec_stands_for_every_combination_of_its_axes(self):
        names = [way.name for way in parsed("--ways", "vmsec,qemu-plain", "--cipher", "aes-128-gcm,none", "--streams", "1,2",
                                            "--record-size", "default,64KiB").ways]
        self.assertEqual(names, ["vmsec-aes-128-gcm", "vmsec-aes-128-gcm-64KiB", "vmsec-aes-128-gcm-2-streams",
                                 "vmsec-aes-128-gcm-2-streams-64KiB", "vmsec-none", "vmsec-none-64KiB", "vmsec-none-2-streams",
                                 "vmsec-none-2-streams-64KiB", "qemu-plain"])

    def test_none_is_measured_once_and_tls_by_openssl_alone(self):
        names = [way.name for way in parsed("--ways", "vmsec", "--accelerator", "evp,vaes", "--suite", "bulk,tls").ways]
        self.assertEqual(names, ["vmsec-aes-128-gcm", "vmsec-aes-128-gcm-vaes", "vmsec-aes-128-gcm-tls", "vmsec-none"])

    def test_blocks_are_the_product_and_an_idle_guest_is_one_block(self):
        blocks = parsed("--memory", "256,512", "--dirty-rate", "0,50", "--dirty-set", "10,20").blocks
        self.assertEqual([(b.memory, b.dirty_rate, b.dirty_set) for b in blocks],
                         [(256, 0, 10), (256, 50, 10), (256, 50, 20), (512, 0, 10), (512, 50, 10), (512, 50, 20)])

    def test_the_order_of_ways_follows_from_the_seed_and_differs_between_rounds(self):
        once, again, other = parsed("--seed", "3"), parsed("--seed", "3"), parsed("--seed", "4")
        orders = [[way.name for way in once.order(once.blocks[0], n)] for n in range(1, 9)]
        self.assertEqual(orders, [[way.name for way in again.order(again.blocks[0], n)] for n in range(1, 9)])
        self.assertNotEqual(orders, [[way.name for way in other.order(other.blocks[0], n)] for n in range(1, 9)])
        self.assertGreater(len({tuple(order) for order in orders}), 1)
        self.assertEqual({tuple(sorted(order)) for order in orders}, {tuple(sorted(orders[0]))})

    def test_a_link_is_told_to_vmsec_link_in_its_own_words(self):
        self.assertEqual(matrix.link_options(matrix.parse_link("delay=10ms,rate=1Gbit")), ["--rate", "1Gbit", "--delay", "10ms"])

    def test_what_cannot_be_is_told_with_its_reason(self):
        found = parsed("--hypervisor", "kvm,sim", "--pattern", "hot", "--dirty-rate", "10", "--ways", "vmsec-none,qemu-plain")
        reasons = [matrix.why_not(block, way) for block in found.blocks for way in found.ways]
        self.assertIn("sequentially only", reasons[0])
        self.assertIsNone(reasons[2])
        self.assertIn("neither QEMU", reasons[3])


class Mistakes(unittest.TestCase):
    def test_each_wrong_option_is_named_with_what_is_wanted(self):
        for option, value, want in (
                ("--ways", "qemu-fast", '"qemu-fast" is unknown; there are vmsec'), ("--ways", "vmsec,vmsec", "named twice"),
                ("--ways", "qemu-tls-multifd-99", "is unknown"), ("--cipher", "rot13", '"rot13" is unknown; there are aes-128-gcm'),
                ("--memory", "12", '"12": want whole numbers from 64'), ("--memory", "512,512", '"512" is named twice'),
                ("--memory", "", "want whole numbers"), ("--streams", "0", "from 1 to 64"), ("--record-size", "64K", "want a size"),
                ("--rounds", "0", "want 1 to 1000"), ("--link", "speed=1Gbit", '"speed" is unknown'), ("--link", "rate=fast", '"rate=fast"'),
                ("--link", "rate=1Gbit,rate=2Gbit", "want each once"), ("--hypervisor", "xen", "there are kvm, sim"),
                ("--pattern", "random", "there are sequential"), ("--suite", "ssh", "there are bulk, tls")):
            with self.subTest(f"{option} {value}"):
                code, text = refused(option, value)
                self.assertEqual(code, 2)
                self.assertTrue(text.startswith(f"vmsec-bench: {option}: "), text)
                self.assertIn(want, text)

    def test_a_folder_without_a_build_is_named(self):
        code, text = refused()
        self.assertEqual(code, 2)
        self.assertIn("nowhere: there is no bin/vmsecd", text)
