"""Plots as inline SVG, coloured by the page's own CSS."""
import math
from html import escape

ROW, RIGHT, TOP, BOTTOM, WIDTH = 26, 90, 8, 44, 860
LETTER = 7.0  # of labels, at most


def ticks(high, count=5):
    """Round numbers from 0 to at least `high`."""
    if high <= 0:
        return [0, 1]
    raw = high / count
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(magnitude * factor for factor in (1, 2, 2.5, 5, 10) if magnitude * factor >= raw * 0.999)
    return [step * i for i in range(math.ceil(high / step - 1e-9) + 1)]


def number(value):
    """Short, without a needless fraction."""
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def text(x, y, content, style, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">{escape(content)}</text>'


def line(x1, y1, x2, y2, style):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'


def wrap(width, height, label, parts):
    return (f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label, quote=True)}">'
            + "".join(parts) + "</svg>")


def intervals(title, unit, rows):
    """A row for each way: (name, style, summary, values of the rounds); median as a dot, its interval as a bar."""
    highest = max(max(row[2]["high"], *row[3]) for row in rows)
    marks = ticks(highest)
    left, bottom = 20 + LETTER * max(len(row[0]) for row in rows), TOP + ROW * len(rows)
    scale = (WIDTH - left - RIGHT) / marks[-1]
    parts = []
    for mark in marks:
        parts += [line(left + mark * scale, TOP, left + mark * scale, bottom, "grid"),
                  text(left + mark * scale, bottom + 16, number(mark), "tick", "middle")]
    parts.append(text(left + marks[-1] * scale / 2, bottom + 36, axis_title(title, unit), "axis", "middle"))
    for i, row in enumerate(rows):
        parts += interval_row(left, TOP + ROW * i + ROW / 2, scale, row)
    return wrap(WIDTH, bottom + BOTTOM, f"{title} by way", parts)


def interval_row(left, y, scale, row):
    name, style, figure, values = row
    parts = [text(left - 10, y + 4, name, f"label {style}", "end"), line(left, y, left + figure["median"] * scale, y, f"stem {style}")]
    parts += [f'<circle cx="{left + value * scale:.1f}" cy="{y:.1f}" r="2.5" class="round {style}"/>' for value in values]
    parts.append(line(left + figure["low"] * scale, y, left + figure["high"] * scale, y, f"interval {style}"))
    parts.append(f'<circle cx="{left + figure["median"] * scale:.1f}" cy="{y:.1f}" r="5" class="median {style}"/>')
    parts.append(text(left + max(figure["high"], figure["median"]) * scale + 10, y + 4, number(figure["median"]), "value"))
    return parts


def axis_title(title, unit):
    return f"{title} ({unit})" if unit else title


def lines(title, unit, x_title, x_names, series):
    """A line for each way over the steps of one axis: (name, style, [summary or None])."""
    height, right = 300, 240
    highest = max(figure["high"] for _, _, figures in series for figure in figures if figure)
    marks = ticks(highest)
    bottom, left = height - 50, 70
    x_of = [left + 20 + i * (WIDTH - left - right - 40) / max(1, len(x_names) - 1) for i in range(len(x_names))]
    y_of = lambda value: bottom - value * (bottom - TOP - 10) / marks[-1]  # noqa: E731
    parts = [line(left, y_of(mark), WIDTH - right, y_of(mark), "grid") + text(left - 8, y_of(mark) + 4, number(mark), "tick", "end")
             for mark in marks]
    parts += [text(x, bottom + 18, name, "tick", "middle") for x, name in zip(x_of, x_names)]
    parts.append(text((left + WIDTH - right) / 2, bottom + 40, x_title, "axis", "middle"))
    parts.append(f'<text transform="translate(16 {(TOP + bottom) / 2:.0f}) rotate(-90)" class="axis" text-anchor="middle">'
                 f"{escape(axis_title(title, unit))}</text>")
    for row, (name, style, figures) in enumerate(series):
        parts += one_line(x_of, y_of, style, figures)
        parts += [line(WIDTH - right + 20, 20 + 20 * row, WIDTH - right + 40, 20 + 20 * row, f"curve {style}"),
                  text(WIDTH - right + 48, 24 + 20 * row, name, f"label {style}")]
    return wrap(WIDTH, max(height, 30 + 20 * len(series)), f"{title} over {x_title}", parts)


def one_line(x_of, y_of, style, figures):
    points = [(x, figure) for x, figure in zip(x_of, figures) if figure]
    path = " ".join(f"{x:.1f},{y_of(figure['median']):.1f}" for x, figure in points)
    parts = [f'<polyline points="{path}" class="curve {style}"/>']
    for x, figure in points:
        parts += [line(x, y_of(figure["low"]), x, y_of(figure["high"]), f"whisker {style}"),
                  f'<circle cx="{x:.1f}" cy="{y_of(figure["median"]):.1f}" r="4" class="median {style}"/>']
    return parts
