#!/usr/bin/env python3
"""Only an authorised host receives, and only with the control plane's leave: end to end between two vmsecd.

    authorised.py BUILD_DIR [--keep]

On the simulated hypervisor, which is quicker; nothing of what is refused here gets as far as a hypervisor. First host-a's vmsecd is
asked to migrate to hosts that are not what they should be, and with tickets that do not fit: it must refuse, send 0 guest bytes, and
let the guest run on. Then a source that was taken over makes none of these checks (rogue_source): host-b's vmsecd must refuse it
and prepare nothing. Every refusal must be on record where it was made. Controls: with good certificates and tickets both are accepted.
"""
import contextlib
import hashlib
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab import program  # noqa: E402
from lab.agent import CommandFailed, wait_for  # noqa: E402
from lab.audit import AuditLog  # noqa: E402
from lab.pki import Pki  # noqa: E402
from lab.move import MIGRATION_ALONE  # noqa: E402
from lab.report import Table  # noqa: E402
from lab.rogue_source import RogueSource, bytes_of, text_of  # noqa: E402
from lab.sim import HOSTS, SimLab  # noqa: E402

A, B = HOSTS
C = "host-c"
GUEST, OTHER, NEW = "web-1", "web-2", "web-3"
DAY = 24 * 3600
UUIDS = {name: f"0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e0{number}" for number, name in enumerate((GUEST, OTHER, NEW), 1)}
DOMAIN = 'name = "{}"\nuuid = "{}"\nmemory = "16 MiB"\nvcpus = 1\nseed = 42\n[workload]\npattern = "hot"\ndirty_rate = 100\n'


class Authorised:
    def __init__(self, folder, build):
        self.folder = pathlib.Path(folder)
        self.programs = pathlib.Path(build).resolve() / "test"
        self.policy = self.folder / "policy.toml"
        self.lab = SimLab(folder, build, {"migration": {"attestation": "none"}})
        self.pki = self.lab.pki
        self.table = Table("Only an authorised host receives (simulated hypervisor)",
                           ("what is not as it should be", "refused by", "guest bytes", f"{GUEST} at host-a", "on record"))
        self.count = 0
        self.impostors = 0

    # ---- tickets ---------------------------------------------------------------

    def file(self):
        self.count += 1
        return self.folder / f"ticket-{self.count}"

    def ticket(self, *more, domain=GUEST, source=A, destination=B, key=None):
        return self.pki.ticket(self.lab.agents[source], domain, source, destination, self.file(), *more, key=key)

    def forged(self, manner, host):
        """A good ticket, signed anew with a host's own key."""
        good = bytes_of(self.ticket())
        done = subprocess.run([str(self.programs / "forged_ticket"), manner, str(self.pki.folder / host / f"{host}.key")],
                              stdin=open(good, "rb"), capture_output=True, check=True)
        return text_of(done.stdout, self.file())

    def changed(self):
        content = bytearray(bytes_of(self.ticket()).read_bytes())
        content[-9] ^= 1
        return text_of(bytes(content), self.file())

    def expired(self):
        ticket = self.ticket("--ttl", "1s")
        shown = lambda: self.lab.agents[A].vmsec("ticket", "show", ticket)["expired"]  # noqa: E731
        wait_for("the ticket's end", shown, 10)
        return ticket

    def digest(self, configuration):
        return "--configuration-digest", hashlib.sha256(configuration.encode()).hexdigest()

    # ---- host-a's vmsecd is asked ------------------------------------------------

    def migrate(self, source, destination, ticket):
        agent = self.lab.agents[source]
        try:
            return agent.vmsec("migrate", GUEST, "--to", destination, "--ticket", ticket)
        except CommandFailed as failure:
            mine = [entry for entry in agent.vmsec("migrate", "list")["migrations"] if entry["outgoing"]]
            if not mine:
                raise failure
            return mine[-1]

    def refused(self, what, ticket, *words):
        """host-a must refuse to send; `words`: of its audit record."""
        audit, agent = self.audits[A], self.lab.agents[A]
        since, before = len(audit.look()), len(agent.vmsec("migrate", "list")["migrations"])
        status = self.migrate(A, B, ticket)
        tried = len(agent.vmsec("migrate", "list")["migrations"]) == before + 1
        recorded = audit.refusals(B, words, ("migration.start",), since)
        sent, runs = status["guest_bytes"] + status["bytes_sent"], self.lab.runs_on(A, GUEST)
        good = tried and status["state"] == "failed" and sent == 0 and runs and recorded
        self.table.row((what, A if status["state"] == "failed" else "NOBODY", sent, "runs on" if runs else "GONE",
                        " ".join(words) if recorded else f"NOTHING OF: {' '.join(words)}: {status['cause']}"), bool(good))

    def tickets(self):
        for what, ticket, *words in (
                ("of another VM", self.ticket(domain=OTHER), f"it is for domain {UUIDS[OTHER]}"),
                ("for another destination", self.ticket(destination=C), f"it is for {C}"),
                ("for another source", self.from_c(), f"its source is {C}"),
                ("for another configuration", self.ticket(*self.digest("x"), domain=UUIDS[GUEST]), "another configuration"),
                ("signed by host-a's own key", self.forged("own", A), "a host's own key signed it"),
                ("signed by host-b's own key", self.forged("own", B), "a host's own key signed it"),
                ("signed by host-c's own key", self.forged("own", C), "no placement key"),
                ("so signed, in the placement key's name", self.forged("lent", A), "signature"),
                ("of another control plane", self.ticket(key=self.stranger.placement), "no placement key"),
                ("one bit changed", self.changed(), "signature"),
                ("expired", self.expired(), "expired")):
            self.refused(f"ticket: {what}", ticket, *words)

    def from_c(self):
        return self.pki.ticket(self.lab.agents[A], UUIDS[GUEST], C, B, self.file(), *self.digest("x"))

    def spent(self):
        first = self.ticket()
        there = self.migrate(A, B, first)
        self.table.control("a migration with a good ticket", f"{there['state']}, {there['guest_bytes']} guest bytes",
                           there["state"] == "completed" and there["guest_bytes"] > 0)
        back = self.migrate(B, A, self.ticket(source=B, destination=A))
        self.table.control("and back, with another", back["state"], back["state"] == "completed")
        wait_for("the guest at host-a", lambda: self.lab.runs_on(A, GUEST), 20)
        self.refused("ticket: spent", first, "spent")

    # ---- host-b's certificate ------------------------------------------------------

    def become(self, identity=None, name=B):
        """vmsecd at host-b's address with another's files, and a state of its own; without: the true one again."""
        agent = self.lab.agents[B]
        agent.stop()
        self.impostors += 1
        state = self.folder / f"impostor-{self.impostors}" if identity else None
        self.lab.configure(B, self.policy, identity, name, state)
        agent.start()

    def late(self, seconds, *words):
        subprocess.run([str(self.programs / "authority_in_the_past"), str(seconds), *map(str, words)], check=True)

    def ends_soon(self):
        """host-b serves with a certificate that was good when it started, and is not any more."""
        for seconds in (3, 30):
            folder = self.pki.folder / f"soon-{seconds}"
            folder.mkdir()
            end = time.time() + seconds
            self.late(DAY - seconds, "issue", self.pki.folder / "ca", B, folder)
            with contextlib.suppress(RuntimeError):  # a slow machine: it ended before vmsecd was up
                self.become(self.pki.identity(B, folder))
                wait_for("the certificate's end", lambda: time.time() > end + 1, 60)
                return
        raise RuntimeError("host-b could not be started before its certificate ended")

    def certificates(self):
        ca, good = self.pki.folder / "ca", self.ticket()
        self.late(2 * 3600, "crl", ca)
        self.refused("revocation list: stale", good, "stale")
        self.pki.publish()
        self.become(self.stranger.identity(B))
        self.refused("certificate: another authority's", good, "authority")
        self.become(self.pki.identity(C), C)
        self.refused("certificate: host-c's, at host-b's address", good, C)
        self.ends_soon()
        self.refused("certificate: expired", good, "it has expired")
        serial = self.pki.issue(B, "revoked")
        self.become(self.pki.identity(B, self.pki.folder / "revoked"))
        self.pki.revoke(serial)
        self.refused("certificate: revoked", good, "revoked")
        self.become()
        status = self.migrate(A, B, good)
        self.table.control("the same ticket, never spent by these, to the true host-b", status["state"],
                           status["state"] == "completed")

    # ---- host-b's vmsecd is asked by a source that was taken over -------------------

    def rogue(self, ticket, identity=None, **words):
        configuration = self.folder / "configuration.toml"
        configuration.write_text(DOMAIN.format(NEW, UUIDS[NEW]))
        if ticket:
            words["ticket"] = bytes_of(ticket)
        source = RogueSource(self.lab.agents[A], identity or self.pki.identity(A), to=B, domain=UUIDS[NEW], name=NEW,
                             address=f"127.0.0.1:{self.lab.ports[B]}", format="sim-toml", configuration=configuration,
                             memory=16 << 20, vcpus=1, **words)
        source.end()
        return source

    def rejected(self, what, source, action, *words):
        """host-b must have refused; `words`: of its audit record."""
        audit, agent = self.audits[B], self.lab.agents[B]
        with contextlib.suppress(TimeoutError):
            wait_for("a record", lambda: audit.refusals("", words, (action,), self.since), 10)
        recorded = audit.refusals("", words, (action,), self.since)
        self.since = len(audit.look())
        nothing = agent.domain(NEW) is None
        mine = [entry for entry in agent.vmsec("migrate", "list")["migrations"] if entry["migration"] == source.migration]
        got = sum(entry["guest_bytes"] for entry in mine)
        runs = self.lab.runs_on(A, GUEST)
        good = source.refusal and "prepared" not in source.steps and recorded and nothing and not got and runs
        self.table.row((f"source asks, {what}", B if source.refusal else "NOBODY", got, "runs on" if runs else "GONE",
                        " ".join(words) if recorded else f"NOTHING OF: {' '.join(words)}: {source.refusal}"), bool(good))

    def taken_over(self):
        self.since = len(self.audits[B].look())
        mine = {"domain": UUIDS[NEW]}
        fit = self.digest(DOMAIN.format(NEW, UUIDS[NEW]))
        good = self.ticket(*fit, **mine)
        first = self.rogue(good)
        self.table.control("host-b prepares for a source with a good ticket", ", ".join(first.steps),
                           "prepared" in first.steps)
        wait_for("host-b to give up", lambda: all(entry["state"] == "failed" for entry in self.lab.agents[B].vmsec(
            "migrate", "list")["migrations"] if entry["migration"] == first.migration), 20)
        for what, ticket, *words in (
                ("without a ticket", None, "verify ticket"),
                ("its ticket is spent", good, "spent"),
                ("its ticket is of another VM", self.ticket(*fit, domain=UUIDS[OTHER]), f"it is for domain {UUIDS[OTHER]}"),
                ("its ticket is for another destination", self.ticket(*fit, destination=C, **mine), f"its destination is {C}"),
                ("its ticket is for another configuration", self.ticket(*self.digest("x"), **mine), "another configuration"),
                ("its ticket is signed by its own key", self.forged("own", A), "a host's own key signed it"),
                ("its ticket has expired", self.expired(), "expired")):
            self.rejected(what, self.rogue(ticket), "migration.accept", *words)
        folder = self.pki.folder / "ended"
        folder.mkdir()
        self.late(DAY + 60, "issue", self.pki.folder / "ca", A, folder)
        ended = self.rogue(self.ticket(*fit, **mine), self.pki.identity(A, folder), late=120)
        self.rejected("its certificate has expired", ended, "peer.refuse", "it has expired")
        self.pki.revoke(self.pki.issue(A, "taken"))
        taken = self.rogue(self.ticket(*fit, **mine), self.pki.identity(A, self.pki.folder / "taken"))
        self.rejected("its certificate is revoked", taken, "peer.refuse", "revoked")

    def run(self):
        with self.lab:
            self.policy.write_text(MIGRATION_ALONE)
            for name in (GUEST, OTHER):
                self.lab.define(A, name, DOMAIN.format(name, UUIDS[name]))
            self.pki.issue(C)
            self.stranger = Pki(self.folder / "stranger", self.lab.build)
            self.stranger.create(HOSTS)
            self.lab.start_agents(self.policy)
            self.audits = {host: AuditLog(agent.state) for host, agent in self.lab.agents.items()}
            self.tickets()
            self.spent()
            self.taken_over()
            self.certificates()
            for host, agent in self.lab.agents.items():
                done = agent.show("audit", "verify", agent.state / "audit.log", "--key", self.pki.certificate(host))
                self.table.control(f"audit log of {host}", "verified" if done.returncode == 0 else done.stdout + done.stderr,
                                   done.returncode == 0)
        return self.table.print()


if __name__ == "__main__":
    program.run(__doc__, "vmsec-authorised-", lambda folder, build: Authorised(folder, build).run())
