import unittest

import bench_path  # noqa: F401
from vmsec_bench import figures, kvm, processes, ticks


class Statistics(unittest.TestCase):
    def test_few_values_have_their_range_and_no_pretended_confidence(self):
        self.assertEqual(figures.summary([3, 1, 2]), {"median": 2, "low": 1, "high": 3, "n": 3, "interval": "range"})

    def test_five_values_have_an_interval_around_their_median_and_within_their_range(self):
        found = figures.summary([1, 2, 3, 4, 100])
        self.assertEqual((found["median"], found["n"], found["interval"]), (3, 5, "bootstrap 95 %"))
        self.assertTrue(1 <= found["low"] <= 3 <= found["high"] <= 100)

    def test_an_interval_narrows_with_more_values(self):
        few, many = figures.summary(list(range(10))), figures.summary([i / 100 for i in range(1000)])
        self.assertLess(many["high"] - many["low"], few["high"] - few["low"])

    def test_the_same_seed_gives_the_same_interval(self):
        values = [2.0, 2.1, 2.4, 1.9, 3.3, 2.2, 2.8]
        self.assertEqual(figures.summary(values, 5), figures.summary(values, 5))

    def test_values_that_do_not_vary_have_an_interval_of_no_width(self):
        found = figures.summary([7] * 9)
        self.assertEqual((found["low"], found["high"]), (7, 7))

    def test_nothing_has_no_median(self):
        self.assertIsNone(figures.summary([]))
        self.assertIsNone(figures.summary([None, None]))

    def test_ratios_are_taken_round_by_round(self):
        # The machine became three times slower in the third round: the ratio does not see it.
        self.assertEqual(figures.ratio([1, 1, 3], [2, 2, 6])["median"], 0.5)
        self.assertEqual(figures.ratio([1, 1, 3], [2, 2, 6])["high"], 0.5)

    def test_a_round_in_which_one_failed_is_in_no_ratio(self):
        self.assertEqual(figures.ratio([1, None, 3], [2, 2, None])["n"], 1)


class Measures(unittest.TestCase):
    def test_downtime_is_the_longest_gap_less_a_period(self):
        found = ticks.gaps([(0.0, "a"), (0.1, "a"), (0.6, "a"), (1.0, "b"), (1.1, "b")])
        self.assertAlmostEqual(found["downtime_s"], 0.49)
        self.assertAlmostEqual(found["switch_gap_s"], 0.39)

    def test_without_ticks_at_both_hosts_there_is_no_switch(self):
        self.assertIsNone(ticks.gaps([(0.0, "a"), (0.1, "a")])["switch_gap_s"])
        self.assertIsNone(ticks.gaps([])["downtime_s"])

    def test_libvirts_job_is_read_in_seconds_and_bytes_and_the_transfer_by_qemus_own_rate(self):
        found = kvm.from_job({"time_elapsed": 3000, "memory_processed": 500_000_000, "memory_bps": 250_000_000, "memory_iteration": 3, "downtime": 120})
        self.assertEqual((found["transfer_s"], found["job_s"], found["throughput"], found["iterations"]), (2.0, 3.0, 250_000_000, 3))
        self.assertEqual(found["hypervisor_downtime_s"], 0.12)

    def test_without_a_rate_the_job_less_its_setup_is_the_transfer(self):
        self.assertEqual(kvm.from_job({"time_elapsed": 3000, "setup_time": 500})["transfer_s"], 2.5)

    def test_cpu_of_this_process_and_of_a_child_that_ended_is_found(self):
        import os
        import subprocess
        import sys
        me = {os.getpid(): "a"}
        with processes.Sampler(lambda: me) as sampler:
            subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"], check=True)
        self.assertGreater(sum(sampler.cpu()["a"].values()), 0.25)

    def test_a_descendant_of_an_agent_is_its_worker_whatever_its_name(self):
        by_pid = {}
        for pid, parent, name in ((2, 1, "vmsecd"), (3, 2, "migration"), (4, 3, "x"), (5, 1, "qemu-system-x86"), (6, 1, "x")):
            by_pid[pid] = processes.Process(pid, "a", True)
            by_pid[pid].parent, by_pid[pid].name = parent, name
        self.assertEqual([processes.role_of(by_pid[pid], by_pid) for pid in (2, 3, 4, 5, 6)],
                         ["vmsecd", "worker", "worker", "qemu", "other"])
