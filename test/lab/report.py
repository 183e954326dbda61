"""The demo's report: one readable page, and whether every line of it held."""
import sys
import time


class Report:
    def __init__(self, title):
        self.title = title
        self.started = time.monotonic()
        self.rows = []
        self.failed = []

    def step(self, text):
        print(f"[{time.monotonic() - self.started:6.1f} s] {text}", flush=True)

    def check(self, what, value, good, wanted=""):
        """A line of the report; `good` says whether it is as wanted."""
        self.rows.append((what, str(value), wanted, "ok" if good else "FAILED"))
        if not good:
            self.failed.append(what)
            self.step(f"FAILED: {what}: {value}" + (f" (wanted {wanted})" if wanted else ""))

    def fact(self, what, value):
        self.rows.append((what, str(value), "", ""))

    def section(self, title):
        self.rows.append((title,))

    def print(self):
        print(f"\n{self.title}\n{'=' * len(self.title)}")
        table = [row for row in self.rows if len(row) > 1]
        widths = [max((len(row[column]) for row in table), default=0) for column in range(3)]
        for row in self.rows:
            if len(row) == 1:
                print(f"\n{row[0]}")
            else:
                print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)) + "  " + row[3])
        seconds = time.monotonic() - self.started
        print(f"\n{len([r for r in table if r[3] == 'ok'])} held, {len(self.failed)} failed, {seconds:.0f} s")
        sys.stdout.flush()
        return not self.failed


class Table:
    """Rows under a heading, aligned; and whether every one of them held."""

    def __init__(self, title, heading, what="requests"):
        self.title = title
        self.heading = heading
        self.what = what
        self.started = time.monotonic()
        self.rows = []
        self.controls = []

    def row(self, cells, good):
        self.rows.append((*map(str, cells), "ok" if good else "FAILED"))

    def control(self, what, value, good):
        self.controls.append((what, str(value), "ok" if good else "FAILED"))

    def print(self):
        print(f"\n{self.title}\n{'=' * len(self.title)}")
        for rows in ([(*self.heading, ""), *self.rows], self.controls):
            widths = [max(len(cell) for cell in column) for column in zip(*rows)]
            for row in rows:
                print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
            print()
        failed = [row for row in self.rows + self.controls if row[-1] != "ok"]
        print(f"{len(self.rows)} {self.what}, {len(self.controls)} controls, {len(failed)} failed, "
              f"{time.monotonic() - self.started:.0f} s")
        sys.stdout.flush()
        return not failed
