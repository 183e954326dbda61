#!/usr/bin/env python3
"""test_find_marker.py - the marker search on small captures made here: needs no root, no network. Exit 0 when all hold."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

FIND = os.path.join(os.path.dirname(os.path.abspath(__file__)), "find_marker.py")
MARKER = b"here-I-am".ljust(64, b".")
SYN, FIN, ACK = 2, 1, 16


def tcp(sequence, payload=b"", flags=ACK, ack=0, back=False):
    ends = [(b"\x0a\x4e\0\1", 1000), (b"\x0a\x4e\0\2", 2000)]
    (a, sport), (b, dport) = reversed(ends) if back else ends
    segment = struct.pack(">HHIIBBHHH", sport, dport, sequence & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, flags, 1, 0, 0) + payload
    return b"\0" * 12 + b"\x08\0" + struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, 6, 0) + a + b + segment


def search(packets, *options, cut=0):
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for packet in packets:
            file.write(struct.pack("<IIII", 0, 0, len(packet) - cut, len(packet)) + packet[:len(packet) - cut])
        file.flush()
        run = subprocess.run([sys.executable, FIND, file.name, "--marker", "here-I-am", "--json", *options], stdout=subprocess.PIPE)
        return run.returncode, json.loads(run.stdout)


class FindMarker(unittest.TestCase):
    stream = b"x" * 100 + MARKER + b"y" * 100 + MARKER  # 328 bytes

    def test_a_marker_across_many_small_packets_is_found(self):
        for size in (1, 7, 63, 64, 65, 200):
            pieces = [tcp(11 + i, self.stream[i:i + size]) for i in range(0, len(self.stream), size)]
            code, result = search([tcp(10, flags=SYN)] + pieces)
            self.assertEqual((code, result["markers"], result["bytes"]), (0, 2, 328), size)

    def test_order_and_repetition_do_not_matter(self):
        pieces = [tcp(11 + i, self.stream[i:i + 50]) for i in range(0, len(self.stream), 40)]
        code, result = search([tcp(10, flags=SYN)] + pieces[::-1] + pieces[2:5])
        self.assertEqual((code, result["markers"], result["bytes"]), (0, 2, 328))

    def test_sequence_numbers_may_wrap(self):
        start = 0xFFFFFFFF - 120
        pieces = [tcp(start + 1 + i, self.stream[i:i + 30]) for i in range(0, len(self.stream), 30)]
        code, result = search([tcp(start, flags=SYN)] + pieces)
        self.assertEqual((code, result["markers"], result["gaps"]), (0, 2, 0))

    def test_missing_bytes_are_a_gap_and_hide_nothing(self):
        code, result = search([tcp(10, flags=SYN), tcp(11, self.stream[:120]), tcp(11 + 150, self.stream[150:])])
        self.assertEqual((code, result["gaps"], result["missing"], result["markers"]), (3, 1, 30, 1))

    def test_bytes_that_were_acknowledged_but_not_captured_are_a_gap(self):
        packets = [tcp(10, flags=SYN), tcp(11, self.stream[:200]), tcp(1, ack=11 + 328, back=True)]
        code, result = search(packets)
        self.assertEqual((code, result["gaps"], result["missing"]), (3, 1, 128))

    def test_an_orderly_end_is_no_gap(self):
        packets = [tcp(10, flags=SYN), tcp(11, self.stream, flags=FIN | ACK), tcp(1, ack=11 + 329, back=True)]
        self.assertEqual(search(packets)[0], 0)

    def test_truncated_packets_fail(self):
        self.assertEqual(search([tcp(11, self.stream)], cut=1)[0], 3)

    def test_too_few_bytes_fail(self):
        self.assertEqual(search([tcp(11, self.stream)], "--min-bytes", "329")[0], 3)

    def test_expectations_can_fail_both_ways(self):
        self.assertEqual(search([tcp(11, self.stream)], "--expect", "absent")[0], 4)
        self.assertEqual(search([tcp(11, b"nothing" * 20)], "--expect", "present")[0], 4)
        self.assertEqual(search([tcp(11, b"nothing" * 20)], "--expect", "absent")[0], 0)

    def test_ports_used_again_are_another_stream(self):
        packets = [tcp(10, flags=SYN), tcp(11, self.stream), tcp(5_000_000, flags=SYN), tcp(5_000_001, self.stream)]
        code, result = search(packets)
        self.assertEqual((code, result["markers"], result["bytes"]), (0, 4, 656))


if __name__ == "__main__":
    unittest.main()
