"""Migrations that a lab asks for, each with a ticket of its own."""
import itertools
import pathlib

from .agent import CommandFailed

# A policy under which guests may move, and nothing more.
MIGRATION_ALONE = """\
version = 1
[[grant]]
module = "migration"
vm = "*"
interfaces = ["vmsec.DomainControl", "vmsec.Migration"]
"""


class Mover:
    def __init__(self, lab, folder):
        self.lab = lab
        self.folder = pathlib.Path(folder)
        self.numbers = itertools.count(1)

    def command(self, name, source, destination, *options):
        """What `vmsec` at the source is asked, with a ticket that is written now."""
        file = self.folder / f"ticket-{next(self.numbers)}"
        ticket = self.lab.pki.ticket(self.lab.agents[source], name, source, destination, file)
        return ["migrate", name, "--to", destination, "--ticket", ticket, *options]

    def latest(self, host, name):
        """The status of the guest's last migration from there, or None."""
        listed = self.lab.agents[host].vmsec("migrate", "list")["migrations"]
        return next((each for each in reversed(listed) if each["outgoing"] and each["name"] == name), None)

    def migrate(self, name, source, destination, *options):
        """Answers the final status, also of one that failed; raises where none was begun."""
        before = self.latest(source, name)
        try:
            return self.lab.agents[source].vmsec(*self.command(name, source, destination, *options))
        except CommandFailed:
            status = self.latest(source, name)
            if status is None or (before and status["migration"] == before["migration"]):
                raise
            return status
