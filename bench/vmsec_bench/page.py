"""The report as one HTML file: tables, plots, and what to know of them. It refers to nothing outside itself."""
import dataclasses
from html import escape

from . import svg
from .figures import METRICS
from .matrix import Block

PLOTTED = ("transfer_s", "job_s", "command_s", "throughput", "cpu_s", "downtime_s", "wire_bytes", "rss_agents")
AXES = (("memory", "Memory of the guest (MiB)"), ("dirty_rate", "Rate at which the guest writes (MiB/s)"), ("dirty_set", "Part written (%)"),
        ("fill", "Part that holds noise (%)"), ("link", "Link"))
STYLES = 8
CSS = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1a1c20; --soft: #5b616b; --rule: #d9dce1; --panel: #f6f7f9;
  --c0: #0b62c4; --c1: #b34700; --c2: #1a7f37; --c3: #8a3ffc; --c4: #b3261e; --c5: #0f7c86; --c6: #8c6d00; --c7: #a1216b; }
@media (prefers-color-scheme: dark) { :root { --ground: #14161a; --ink: #e7e9ee; --soft: #a2a9b4; --rule: #343942; --panel: #1c1f25;
  --c0: #6cb2ff; --c1: #ff9d5c; --c2: #5fd38a; --c3: #c3a0ff; --c4: #ff8a80; --c5: #5fd3dd; --c6: #e3c04f; --c7: #ff8fc7; } }
body { font: 15px/1.5 system-ui, sans-serif; background: var(--ground); color: var(--ink); max-width: 1160px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.25em; margin-top: 2.2em; border-top: 1px solid var(--rule); padding-top: 1em; } h3 { font-size: 1em; margin: 1.6em 0 .2em; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9em; }
th, td { padding: .3em .5em; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: var(--soft); font-weight: 600; white-space: normal; vertical-align: bottom; } td small { color: var(--soft); display: block; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2em 1.2em; } dt { color: var(--soft); } dd { margin: 0; }
.note { color: var(--soft); } .bad { color: var(--c4); } svg { width: 100%; height: auto; background: var(--panel); border-radius: 6px; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); } svg .label, svg .value { fill: var(--ink); } svg .axis { font-size: 13px; }
.grid { stroke: var(--rule); stroke-width: 1; } .stem { stroke-width: 8; opacity: .25; } .interval, .whisker { stroke-width: 3; } .curve { stroke-width: 2; fill: none; }
.curve.dashed { stroke-dasharray: 7 5; } .round { opacity: .45; } .median { stroke: var(--ground); stroke-width: 1; }
""" + "\n".join(f".s{i} {{ stroke: var(--c{i}); }} circle.s{i} {{ fill: var(--c{i}); }} svg text.s{i} {{ stroke: none; }}" for i in range(STYLES))


def render(results):
    styles = style_of_ways(results)
    parts = ["<h1>vmsec: live migration, measured</h1>", facts(results), troubles(results)]
    for block in results["blocks"]:
        parts.append(f"<section><h2>{escape(block['title'])}</h2>{figures_table(block)}{ratios_table(block)}{plots(block, styles)}</section>")
    parts += [axis_plots(results, styles), notes(results)]
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>vmsec: live migration, measured</title><style>{CSS}</style></head><body>{''.join(parts)}</body></html>\n")


def style_of_ways(results):
    names = dict.fromkeys(way for block in results["blocks"] for way in block["ways"])
    return {name: f"s{i % STYLES}" + (" dashed" if i >= STYLES else "") for i, name in enumerate(names)}


def facts(results):
    facts_ = results["facts"] | {"rounds": results["rounds"], "seed": results["seed"]}
    facts_["memory"] = f"{facts_.pop('memory_bytes') / (1 << 30):.1f} GiB"
    rows = "".join(f"<dt>{escape(key.replace('_', ' '))}</dt><dd>{escape(' '.join(value) if isinstance(value, list) else str(value))}</dd>"
                   for key, value in facts_.items())
    return f"<dl>{rows}</dl>"


def troubles(results):
    lines = [f"not there: {entry['way']} on {entry['hypervisor']}: {entry['reason']}" for entry in results["missing"]]
    lines += [f"failed: {text}" for text in results["failed"]]
    return f'<ul class="bad">{"".join(f"<li>{escape(text)}</li>" for text in lines)}</ul>' if lines else ""


def value(figure, digits):
    if figure is None:
        return "<td>–</td>"
    spread = f"{figure['low']:.{digits}f} – {figure['high']:.{digits}f}" if figure["n"] > 1 else "one round"
    return f"<td>{figure['median']:.{digits}f}<small>{spread}</small></td>"


def figures_table(block):
    metrics = [metric for metric in METRICS if any(entry["figures"][metric.key] for entry in block["ways"].values())]
    head = "".join(f"<th>{escape(svg.axis_title(metric.title, metric.unit))}</th>" for metric in metrics)
    rows = "".join(f"<tr><td>{escape(name)}</td>{''.join(value(entry['figures'][metric.key], metric.digits) for metric in metrics)}</tr>"
                   for name, entry in block["ways"].items())
    kinds = {figure["interval"] for entry in block["ways"].values() for figure in entry["figures"].values() if figure}
    meaning = "bootstrapped 95 % interval of the median" if "bootstrap 95 %" in kinds else "least and most"
    return (f'<div class="scroll"><table><tr><th>way</th>{head}</tr>{rows}</table></div>'
            f'<p class="note">Medians over the rounds; below each, {meaning}.</p>')


def ratios_table(block):
    if not block["references"]:
        return ""
    columns = [(title, key, word) for title in block["references"] for key, word in (("transfer_s", "transfer time"), ("cpu_s", "CPU"))]
    head = "".join(f"<th>{word}<br>/ {escape(title)}</th>" for title, _, word in columns)
    rows = "".join(f"<tr><td>{escape(name)}</td>{''.join(value(entry['ratios'].get(title, {}).get(key), 2) for title, key, _ in columns)}</tr>"
                   for name, entry in block["ways"].items())
    names = ", ".join(f"{escape(title)}: {escape(name)}" for title, name in block["references"].items())
    return (f'<h3>Ratios, taken round by round</h3><div class="scroll"><table><tr><th>way</th>{head}</tr>{rows}</table></div>'
            f'<p class="note">Less than 1 is less than the reference needs. References: {names}.</p>')


def plots(block, styles):
    parts = []
    for metric in METRICS:
        rows = []
        for name, entry in block["ways"].items():
            figure = entry["figures"][metric.key]
            if figure:
                values = [cell[metric.key] * metric.factor for cell in entry["rounds"] if cell and cell.get(metric.key) is not None]
                rows.append((name, styles[name], figure, values))
        if metric.key in PLOTTED and rows:
            parts.append(f"<h3>{escape(metric.title)}</h3>{svg.intervals(metric.title, metric.unit, rows)}")
    return "".join(parts)


def axis_plots(results, styles):
    """Where blocks differ in one axis only: each metric over it."""
    parts = []
    for axis, title in AXES:
        families = {}
        for block in results["blocks"]:
            rest = tuple(each for key, each in block["block"].items() if key != axis)
            families.setdefault(rest, []).append(block)
        for family in families.values():
            if len(family) > 1:
                parts.append(family_plots(axis, title, family, styles))
    return "".join(parts)


def family_plots(axis, title, family, styles):
    names = list(dict.fromkeys(way for block in family for way in block["ways"]))
    same = dataclasses.asdict(Block(**family[0]["block"]))
    rest = ", ".join(f"{key.replace('_', ' ')} {each}" for key, each in same.items() if key != axis)
    parts = [f"<section><h2>Over: {escape(title)}</h2><p class=\"note\">The same: {escape(rest)}.</p>"]
    for metric in METRICS:
        series = [(name, styles[name], [block["ways"].get(name, {}).get("figures", {}).get(metric.key) for block in family]) for name in names]
        series = [one for one in series if any(one[2])]
        if metric.key in PLOTTED and series:
            steps = [str(block["block"][axis]) for block in family]
            parts.append(f"<h3>{escape(metric.title)}</h3>{svg.lines(metric.title, metric.unit, title, steps, series)}")
    return "".join(parts) + "</section>"


def notes(results):
    items = "".join(f"<li>{escape(note)}</li>" for note in results["notes"])
    return f"<section><h2>What to know before quoting</h2><ul>{items}</ul></section>"
