"""What the documents show: fenced blocks, their commands, and commands within the text."""
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Block:
    def __init__(self, file, line, language, text):
        self.file, self.line, self.language, self.text = file, line, language, text

    def __str__(self):
        return f"{self.file}:{self.line}"

    def commands(self):
        """The commands of a shell block, continued lines joined, comments away."""
        joined = re.sub(r" *\\\n\s*", " ", self.text)
        lines = [re.sub(r"(^|\s+)# .*$", "", line).strip() for line in joined.splitlines()]
        return [line for line in lines if line]


def documents():
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True)
    files = listed.stdout.split() or [str(file.relative_to(ROOT)) for file in ROOT.rglob("*.md")
                                      if "build" not in file.parts]
    return sorted(files)


def blocks():
    found = []
    for file in documents():
        start = None
        for number, line in enumerate((ROOT / file).read_text().splitlines(), 1):
            fence = re.match(r"\s*```(\w*)", line)
            if fence and start is None:
                start, language, text = number, fence[1], []
            elif fence:
                found.append(Block(file, start, language, "\n".join(text) + "\n"))
                start = None
            elif start is not None:
                text.append(line)
    return found


def inline_commands():
    """(place, command) of `vmsec ...` and `vmsecd ...` within the text."""
    for file in documents():
        fenced = False
        for number, line in enumerate((ROOT / file).read_text().splitlines(), 1):
            fenced ^= line.lstrip().startswith("```")
            if not fenced:
                yield from ((f"{file}:{number}", span) for span in re.findall(r"`(vmsecd? [^`]+)`", line))


def table_of_commands(groups):
    """(place, command) of docs/cli.md's table: "`pki init`, `issue`" are two of the group pki."""
    lines = (ROOT / "docs/cli.md").read_text().splitlines()
    first = lines.index("## Commands")
    for number, line in enumerate(lines[first:], first + 1):
        if line.startswith("## ") and number > first + 1:
            return
        group = None
        for span in re.findall(r"`([^`]+)`", line.split(" | ")[0]):
            if span.split()[0] in groups:
                group = span.split()[0]
                yield f"docs/cli.md:{number}", f"vmsec {span}"
            elif group:
                yield f"docs/cli.md:{number}", f"vmsec {group} {span}"
