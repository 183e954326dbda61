"""Whether a simulated guest's memory is what it wrote: each page is a function of seed, page and generation (plugins/sim/README.md)."""
import os
import pathlib
import struct

PAGE = 4096
MASK = (1 << 64) - 1
WORDS = (1, 99, 400)  # of 512, those that are looked at


def splitmix64(value):
    value = (value + 0x9E3779B97F4A7C15) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def holds(seed, page, content):
    generation = struct.unpack_from("<Q", content)[0]
    if generation == 0:
        return not any(content)
    base = splitmix64(splitmix64(splitmix64(seed) ^ page) ^ generation)
    return all(struct.unpack_from("<Q", content, 8 * i)[0] == splitmix64((base + i) & MASK) for i in WORDS)


def wrong_pages(pid, size, seed):
    """Of the guest in that process, with so much memory: (pages with content, pages that are not what was written there).

    A page that is being written is read again."""
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        if os.readlink(link).startswith("/memfd:") and link.stat().st_size == size:
            break
    else:
        raise AssertionError(f"process {pid} has no guest of {size} bytes")
    filled, wrong = 0, []
    with open(link, "rb", buffering=0) as memory:
        for page in range(1, size // PAGE):
            good, content = False, b""
            for _ in range(5):
                content = os.pread(memory.fileno(), PAGE, page * PAGE)
                good = holds(seed, page, content)
                if good:
                    break
            filled += content[:8] != bytes(8)
            if not good:
                wrong.append(page)
    return filled, wrong
