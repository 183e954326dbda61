"""A link of vmsec-link's between the two hosts, for a block that asks for one."""
import json
import signal
import subprocess

from . import matrix
from .errors import EnvironmentFailure


class LinkRelay:
    """Runs vmsec-link on the source's side; `routes` are (address to listen on, address to go to)."""

    def __init__(self, program, link, routes, enter=(), seed=1):
        self.command = [*enter, str(program), *matrix.link_options(link), "--seed", str(seed)]
        for listen, to in routes:
            self.command += ["--listen", listen, "--to", to]
        self.count = len(routes)
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(self.count):
            if not self.process.stdout.readline().startswith("listening on "):
                raise EnvironmentFailure(f"vmsec-link: {self.process.communicate()[1].strip()}")

    def stop(self):
        """What it carried, in its own words."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=20)
        self.process = None
        return json.loads(out.strip().splitlines()[-1]) if out.strip() else None
