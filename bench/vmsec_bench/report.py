"""A run's results as JSON, CSV, HTML and text."""
import csv
import io
import json
import pathlib

from . import page
from .figures import METRICS, RATIOS, Table

FORMAT = 1
NOTES = (
    "Both hosts, their agents and the simulated link share this machine's cores: compare ways within one run, by ratios taken round by round.",
    "Transfer time is QEMU's own: the memory that it sent by its own rate, as libvirt reports them at the destination (domjobinfo); on sim, vmsec's report.",
    "The time of libvirt's migration job is the transfer and the start of QEMU at the destination.",
    "The time of the whole command runs from the request to its answer. A vmsec ticket is made before.",
    "CPU seconds are of QEMU (with its emulated guest's own work), libvirtd, vmsecd, its workers, socat and the client, at both ends.",
    "CPU of the transfer begins with the first MiB on the wire: without the start of the destination's QEMU and its first touch of its memory.",
    "Downtime is the longest gap in the guest's ticks, of which it prints a hundred a second, less one period; on sim, vmsec's report.",
    "Bytes on the wire are both directions of the interface between the hosts; on sim, what vmsec's streams sent.",
)


def results(run_state, matrix, missing=(), failed=(), notes=()):
    """Everything, as it is written to JSON."""
    tables = [Table(run_state, matrix, block) for block in matrix.blocks]
    return {"format": FORMAT, "facts": run_state.facts, "seed": matrix.seed, "rounds": matrix.rounds, "notes": [*NOTES, *notes],
            "missing": [{"hypervisor": entry[0], "way": entry[1], "reason": entry[2]} for entry in missing], "failed": list(failed),
            "metrics": [{"key": metric.key, "title": metric.title, "unit": metric.unit} for metric in METRICS],
            "blocks": [table.as_json() for table in tables if table.ways]}


def write(results_, folder):
    folder = pathlib.Path(folder)
    (folder / "results.json").write_text(json.dumps(results_, indent=1) + "\n")
    (folder / "results.csv").write_text(as_csv(results_))
    (folder / "report.html").write_text(page.render(results_))


def as_csv(results_):
    """A line for each way of each block and metric."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["hypervisor", "memory_mib", "dirty_rate_mib_s", "dirty_set_percent", "pattern", "fill_percent", "link", "max_downtime_ms", "way",
                     "metric", "unit", "median", "low", "high", "n", "interval"])
    for block in results_["blocks"]:
        place = list(block["block"].values())
        for way, entry in block["ways"].items():
            rows = [(metric["key"], metric["unit"], entry["figures"][metric["key"]]) for metric in results_["metrics"]]
            rows += [(f"{key} / {title}", "", ratio) for title, ratios in entry["ratios"].items() for key, ratio in ratios.items()]
            for key, unit, figure in rows:
                if figure:
                    writer.writerow([*place, way, key, unit, *(f"{figure[name]:.6g}" for name in ("median", "low", "high")), figure["n"],
                                     figure["interval"]])
    return out.getvalue()


def as_text(results_):
    lines = []
    for block in results_["blocks"]:
        lines += ["", block["title"], *table_of(block)]
    for entry in results_["missing"]:
        lines.append(f"not there: {entry['way']} on {entry['hypervisor']}: {entry['reason']}")
    lines += [f"failed: {text}" for text in results_["failed"]]
    return "\n".join(lines[1:] if lines and not lines[0] else lines)


def table_of(block):
    head = ["way", "transfer s", "job s", "command s", "MB/s", "CPU s", "of it transfer", "busy s", "downtime ms", "wire MB", "iterations",
            "agent MB"]
    keys = ["transfer_s", "job_s", "command_s", "throughput", "cpu_s", "transfer_cpu_s", "busy_s", "downtime_s", "wire_bytes", "iterations",
            "rss_agents"]
    digits = {metric.key: metric.digits for metric in METRICS}
    known = [i for i, key in enumerate(keys) if any(entry["figures"][key] for entry in block["ways"].values())]
    head, keys = ["way"] + [head[i + 1] for i in known], [keys[i] for i in known]
    figures = [[way] + [cell(entry["figures"][key], digits[key]) for key in keys] for way, entry in block["ways"].items()]
    ratios = ["", "round by round, transfer time, CPU, and CPU of the transfer, over those of:", *columns(ratio_rows(block))]
    return columns([head, *figures]) + ratios


def ratio_rows(block):
    titles = list(block["references"])
    rows = [["way"] + [text for title in titles for text in (title, "CPU", "transfer")]]
    for way, entry in block["ways"].items():
        ratios = [entry["ratios"].get(title, {}).get(key) for title in titles for key in ("transfer_s", "cpu_s", "transfer_cpu_s")]
        rows.append([way] + [cell(ratio, 2) for ratio in ratios])
    return rows


def columns(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(text.ljust(width) if i == 0 else text.rjust(width) for i, (text, width) in enumerate(zip(row, widths))).rstrip()
            for row in rows]


def cell(figure, digits):
    return f"{figure['median']:.{digits}f}" if figure else "-"
