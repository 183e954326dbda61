"""Downtime as the guest saw it, from the ticks that it prints on its serial line."""
import os
import pathlib
import re
import threading
import time

TICK = re.compile(rb"^tick (\d+)\r?\n", re.M)
PERIOD = 0.01  # the shortest that the guest has
POLL = 0.004
READ = 1 << 16


class TickWatch:
    """Notes when each tick of either log was seen. What the logs hold already is passed over."""

    def __init__(self, log_a, log_b):
        self.paths = {"a": pathlib.Path(log_a), "b": pathlib.Path(log_b)}
        self.at = {host: path.stat().st_size if path.exists() else 0 for host, path in self.paths.items()}
        self.logs = {}  # descriptors: opened once, as this looks often
        self.seen = []  # (time, host)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *failure):
        self.stopping.set()
        self.thread.join()
        self._poll()
        for log in self.logs.values():
            os.close(log)

    def _run(self):
        while not self.stopping.wait(POLL):
            self._poll()

    def _poll(self):
        for host, path in self.paths.items():
            try:
                log = self.logs.get(host) or self.logs.setdefault(host, os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            except FileNotFoundError:
                continue
            text = os.pread(log, READ, self.at[host])
            last = None
            for last in TICK.finditer(text):
                self.seen.append((time.monotonic(), host))
            if last:
                self.at[host] += last.end()

    def gaps(self, begin):
        """With it, how long after `begin` the guest was seen to run at the destination."""
        first = next((when for when, host in self.seen if host == "b"), None)
        return gaps(self.seen) | {"resumed_s": None if first is None else first - begin}


def gaps(seen):
    """The longest time without a tick, and that between the last at the source and the first at the destination; less a
    tick's own period. None where there is no such pair of ticks."""
    pairs = list(zip(seen, seen[1:]))
    longest = max((later[0] - earlier[0] for earlier, later in pairs), default=None)
    switch = next((later[0] - earlier[0] for earlier, later in pairs if (earlier[1], later[1]) == ("a", "b")), None)
    return {"downtime_s": None if longest is None else max(0.0, longest - PERIOD),
            "switch_gap_s": None if switch is None else max(0.0, switch - PERIOD)}
