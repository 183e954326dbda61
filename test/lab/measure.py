"""Figures that a guest reports on its serial line, beside the limits that were set."""
import re


def disk_rate(text):
    """Bytes a second of the guest's disk loop over all complete lines of `text`, or None."""
    lines = re.findall(r"^disk bytes=(\d+) ops=\d+ ms=(\d+)", text, re.M)[1:]
    milliseconds = sum(int(ms) for _, ms in lines)
    return sum(int(count) for count, _ in lines) * 1000 / milliseconds if milliseconds else None


def cpu_share(cpu_time_before, cpu_time_after, seconds):
    """Thousandths of one CPU, from two readings of DomainInfo.cpu_time (microseconds)."""
    return (cpu_time_after - cpu_time_before) / (seconds * 1e6) * 1000
