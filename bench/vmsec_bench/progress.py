"""How far a run is: a bar on a terminal, else nothing but a line for each cell."""
import sys
import time


class Progress:
    WIDTH = 24

    def __init__(self, total, done, out=sys.stderr):
        self.total, self.done, self.before, self.out = total, done, done, out
        self.terminal, self.start = out.isatty(), time.monotonic()

    def begin(self, what):
        if self.terminal:
            filled = self.WIDTH * self.done // max(1, self.total)
            self.out.write(f"\r\033[K[{'#' * filled}{'.' * (self.WIDTH - filled)}] {self.done}/{self.total}{self._left()}  {what}")
            self.out.flush()

    def _left(self):
        here = self.done - self.before
        if here == 0:
            return ""
        seconds = (time.monotonic() - self.start) / here * (self.total - self.done)
        return f", {seconds / 60:.0f} min left" if seconds >= 60 else f", {seconds:.0f} s left"

    def end(self, text):
        self.done += 1
        if self.terminal:
            self.out.write("\r\033[K")
        print(f"{self.done}/{self.total} {text}", file=self.out, flush=True)
