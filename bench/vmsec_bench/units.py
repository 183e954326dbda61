"""Quantities as people write them."""
import re

from .errors import UsageError

SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
RATES = {"kbit": 125, "Mbit": 125_000, "Gbit": 125_000_000}


def whole_numbers(name, text, least, most):
    """"512,1024" as numbers, each in range and named once."""
    numbers = []
    for part in text.split(","):
        if not part.isdigit() or not least <= int(part) <= most:
            raise UsageError(f'{name}: "{part}": want whole numbers from {least} to {most}, separated by commas')
        numbers.append(int(part))
    return unique(name, numbers)


def unique(name, values):
    for value in values:
        if values.count(value) > 1:
            raise UsageError(f'{name}: "{value}" is named twice')
    return values


def choices(name, text, known):
    """"a,b" as a list of known names."""
    values = text.split(",")
    for value in values:
        if value not in known:
            raise UsageError(f'{name}: "{value}" is unknown; there are {", ".join(known)}')
    return unique(name, values)


def size(name, text):
    match = re.fullmatch(r"(\d+) ?(B|KiB|MiB|GiB)", text)
    if not match:
        raise UsageError(f'{name}: "{text}": want a size such as 64KiB or 1MiB')
    return int(match[1]) * SIZES[match[2]]


def bits_per_second(text):
    """Of a rate that vmsec-link knows; None: unlimited."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(kbit|Mbit|Gbit)", text)
    return float(match[1]) * RATES[match[2]] * 8 if match else None
