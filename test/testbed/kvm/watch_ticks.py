#!/usr/bin/env python3
"""watch_ticks.py - proves from its serial output that a guest never ran on two hosts at once.

The flat guest prints `tick N`, N = 1, 2, 3 ..., from its own memory: the numbers move with it. Two running copies would both
print the next number. So: every number at most once over both logs, no number behind a higher one, and at the end exactly one
log that goes on.

  watch_ticks.py [--skip-existing] [--for SECONDS] [--settle SECONDS] [--json] LOG_A LOG_B

Watches until SIGTERM or SIGINT (or --for), then for --settle seconds more to see who runs now. A log need not exist yet.
Exit: 0 never both, and exactly one runs now; 3 never both, but none runs now; 4 a tick was printed twice or out of order, or
both run now; 5 the guest found its own memory damaged (verify BAD); 2 wrong usage.
"""
import argparse
import json
import os
import re
import signal
import sys
import time

TICK = re.compile(rb"tick (\d+)")
GOOD = re.compile(rb"verify ok pass=(\d+)")
POLL = 0.02


class Log:
    def __init__(self, path, skip_existing):
        self.path, self.rest, self.file = path, b"", None
        self.skip = os.path.getsize(path) if skip_existing and os.path.exists(path) else 0

    def lines(self):
        """Complete new lines. A line that the switch-over cut in two is complete on neither host and not counted."""
        if self.file is None:
            try:
                self.file = open(self.path, "rb")
            except FileNotFoundError:
                return []
            self.file.seek(self.skip)
        parts = (self.rest + self.file.read()).split(b"\n")
        self.rest = parts.pop()
        return [part.rstrip(b"\r") for part in parts]


class Watch:
    def __init__(self, paths, skip_existing):
        self.logs = [Log(path, skip_existing) for path in paths]
        self.seen, self.twice, self.backwards, self.bad, self.passes = {}, [], [], [], 0
        self.ticks, self.last, self.hosts_in_order = [0, 0], [None, None], []
        self.previous, self.longest_wait = None, 0.0

    def poll(self):
        now, new = time.monotonic(), []
        for host, log in enumerate(self.logs):
            for line in log.lines():
                if match := TICK.fullmatch(line):
                    new.append((int(match[1]), host))
                elif match := GOOD.fullmatch(line):
                    self.passes += 1
                elif line.startswith(b"verify BAD"):
                    self.bad.append(f"{'ab'[host]}: {line.decode(errors='replace')}")
        highest = max(self.seen, default=0)
        for number, host in sorted(new):  # what came within one poll has no order between the hosts
            if number in self.seen:
                self.twice.append(number)
            elif number < highest:
                self.backwards.append(number)
            self.seen[number] = host
            self.ticks[host] += 1
            self.last[host] = number
            if not self.hosts_in_order or self.hosts_in_order[-1] != "ab"[host]:
                self.hosts_in_order.append("ab"[host])
        if new:
            if self.previous is not None:
                self.longest_wait = max(self.longest_wait, now - self.previous)
            self.previous = now

    def report(self, running_now):
        numbers = sorted(self.seen)
        gaps = [b - a - 1 for a, b in zip(numbers, numbers[1:])]
        return {
            "never_both": not self.twice and not self.backwards and len(running_now) < 2,
            "running_now": running_now,
            "printed_twice": self.twice[:20], "printed_twice_count": len(self.twice),
            "out_of_order": self.backwards[:20], "out_of_order_count": len(self.backwards),
            "ticks": {"a": self.ticks[0], "b": self.ticks[1]}, "last": {"a": self.last[0], "b": self.last[1]},
            "hosts_in_order": self.hosts_in_order,
            "missing_ticks": sum(gaps), "longest_gap_ticks": max(gaps, default=0),
            "longest_wait_s": round(self.longest_wait, 3),
            "verify_passes": self.passes, "verify_bad": self.bad[:20],
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log_a")
    parser.add_argument("log_b")
    parser.add_argument("--skip-existing", action="store_true", help="ignore what the logs hold already")
    parser.add_argument("--for", dest="seconds", type=float)
    parser.add_argument("--settle", type=float, default=1.5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    stop = []
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stop.append(1))
    watch, begin = Watch([args.log_a, args.log_b], args.skip_existing), time.monotonic()
    while not stop and (args.seconds is None or time.monotonic() - begin < args.seconds):
        watch.poll()
        time.sleep(POLL)
    watch.poll()
    before, settled = list(watch.ticks), time.monotonic() + args.settle
    while time.monotonic() < settled:
        time.sleep(POLL)
        watch.poll()
    running_now = ["ab"[host] for host in (0, 1) if watch.ticks[host] > before[host]]

    report = watch.report(running_now)
    code = 4 if not report["never_both"] else 5 if report["verify_bad"] else 0 if len(running_now) == 1 else 3
    if args.json:
        print(json.dumps(report | {"exit": code}))
    else:
        for key, value in report.items():
            print(f"{key}: {value}")
    return code


if __name__ == "__main__":
    sys.exit(main())
