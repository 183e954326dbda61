"""From the cells' figures to medians, intervals and ratios."""
import dataclasses
import random
import statistics

LEAST_FOR_BOOTSTRAP = 5
RESAMPLES = 2000


@dataclasses.dataclass(frozen=True)
class Metric:
    key: str
    title: str
    unit: str
    factor: float = 1.0  # from the stored value to the unit
    digits: int = 2


METRICS = (
    Metric("transfer_s", "Transfer time", "s"),
    Metric("job_s", "Time of libvirt's migration job", "s"),
    Metric("command_s", "Time of the whole command", "s"),
    Metric("throughput", "Throughput of guest memory", "MB/s", 1e-6, 0),
    Metric("downtime_s", "Downtime as the guest saw it", "ms", 1e3, 0),
    Metric("cpu_s", "CPU of both ends' processes", "s"),
    Metric("transfer_cpu_s", "The same from the first memory on the wire", "s"),
    Metric("busy_s", "Busy time of the whole machine", "s"),
    Metric("wire_bytes", "Bytes on the wire", "MB", 1e-6, 0),
    Metric("iterations", "Iterations", "", 1, 0),
    Metric("rss_agents", "Peak memory of an agent and its workers, the larger end", "MB", 1e-6, 0),
)
RATIOS = ("transfer_s", "job_s", "command_s", "cpu_s", "transfer_cpu_s")


def summary(values, seed=1):
    """Median and interval: 95 % by bootstrap from five values on, else the least and the most."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    low, high, kind = min(values), max(values), "range"
    if len(values) >= LEAST_FOR_BOOTSTRAP:
        low, high, kind = *bootstrap(values, seed), "bootstrap 95 %"
    return {"median": statistics.median(values), "low": low, "high": high, "n": len(values), "interval": kind}


def bootstrap(values, seed):
    """The 2.5th and 97.5th percentile of the medians of resamples."""
    draw = random.Random(seed)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES) - 1]


def ratio(numerators, denominators, seed=1):
    """Of values of the same round to each other; None stands for a cell that failed."""
    pairs = zip(numerators, denominators)
    return summary([a / b for a, b in pairs if a is not None and b], seed)


class Table:
    """All figures of one block: by way and metric, in the order of the rounds."""

    def __init__(self, state, matrix, block):
        self.block, self.seed = block, matrix.seed
        self.ways = [way for way in matrix.ways if any(state.finished(block.key(), n, way.name) for n in range(1, matrix.rounds + 1))]
        self.cells = {way.name: [state.figures(block.key(), n, way.name) for n in range(1, matrix.rounds + 1)] for way in self.ways}

    def values(self, way, key):
        return [cell.get(key) if cell else None for cell in self.cells[way]]

    def summary(self, way, metric):
        return summary([value * metric.factor for value in self.values(way, metric.key) if value is not None], self.seed)

    def references(self):
        """What ways are compared with: title to way's name. Of QEMU's TLS its fastest setting."""
        found = {}
        best = [way.name for way in self.ways if way.kind == "qemu" and way.tls and summary(self.values(way.name, "transfer_s"))]
        if best:
            found["QEMU TLS"] = min(best, key=lambda name: summary(self.values(name, "transfer_s"))["median"])
        for title, name in (("QEMU plain", "qemu-plain"), ("vmsec none", "vmsec-none"), ("socat OpenSSL", "socat-openssl")):
            if name in self.cells:
                found[title] = name
        return found

    def ratios(self, way):
        """{reference: {metric: summary}}: this way's seconds over the reference's, so less than 1 is less time."""
        return {title: {key: ratio(self.values(way, key), self.values(name, key), self.seed) for key in RATIOS}
                for title, name in self.references().items() if name != way}

    def as_json(self):
        return {"block": dataclasses.asdict(self.block), "title": self.block.title(), "references": self.references(),
                "ways": {way.name: {"figures": {metric.key: self.summary(way.name, metric) for metric in METRICS},
                                    "ratios": self.ratios(way.name), "rounds": self.cells[way.name]} for way in self.ways}}
