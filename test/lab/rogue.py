#!/usr/bin/env python3
"""A tunnelled libvirt is not root: a source that was taken over asks the destination for more than its migration.

    rogue.py BUILD_DIR [--keep]

Two libvirt hosts with vmsecd. `rogue_source` has host-a's certificate and, for each request, a good ticket; it plays the source's
part over the real channel up to the open control stream, and then this script speaks libvirt's RPC to host-b's proxy. Each request
must be refused and be on record in host-b's audit log, with the peer and the procedure or the XML's place; host-b's libvirtd must
be as it was. Controls: what belongs to a migration passes; the same requests, made to libvirtd itself, are done; and host-b still
takes a migration afterwards.
"""
import concurrent.futures
import contextlib
import functools
import hashlib
import pathlib
import re
import sys
import threading
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab import libvirt_rpc as rpc, program  # noqa: E402
from lab import rogue_requests  # noqa: E402
from lab.agent import CommandFailed, wait_for  # noqa: E402
from lab.audit import AuditLog  # noqa: E402
from lab.kvm import HOSTS, PORT, KvmLab  # noqa: E402
from lab.move import MIGRATION_ALONE, Mover  # noqa: E402
from lab.report import Table  # noqa: E402
from lab.rogue_source import RogueSource, bytes_of  # noqa: E402

A, B = HOSTS
GUEST, BYSTANDER = "web-1", "bystander"


class Rogue:
    def __init__(self, folder, build):
        self.folder = pathlib.Path(folder)
        self.lab = KvmLab(folder, build, {"migration": {"attestation": "none"}})
        self.table = Table("A tunnelled libvirt is not root", ("asked of host-b's proxy", "answer", "audited with the peer and"))
        self.count = 0
        self.lock = threading.Lock()

    # ---- the hosts -----------------------------------------------------------

    def prepare(self):
        lab = self.lab
        policy = self.folder / "policy.toml"
        policy.write_text(MIGRATION_ALONE)
        lab.start_agents(policy)
        self.audit = AuditLog(lab.agents[B].state)
        lab.create_domain(A, GUEST, 64, "")
        lab.create_domain(B, BYSTANDER, 16, "")
        self.files = self.folder / "files"
        for name in ("files", "pool", "rogue"):
            (self.folder / name).mkdir()
        lab.virsh(B, "pool-create-as", "keep", "dir", "--target", self.folder / "pool")
        secret = self.folder / "secret.xml"
        its_uuid = str(uuid.uuid4())
        secret.write_text(f"<secret ephemeral='no' private='no'><uuid>{its_uuid}</uuid></secret>")
        lab.virsh(B, "secret-define", secret)
        value = self.folder / "secret.value"
        value.write_text("not to be told")
        lab.virsh(B, "secret-set-value", its_uuid, "--file", value, "--plain")
        pool_uuid = lab.virsh(B, "pool-uuid", "keep").strip()
        self.bystander = rogue_requests.Bystander(BYSTANDER, lab.virsh(B, "domuuid", BYSTANDER).strip(), its_uuid, "keep",
                                                  pool_uuid, str(self.files))
        self.template = lab.virsh(A, "dumpxml", "--migratable", GUEST)
        self.template_uuid = lab.virsh(A, "domuuid", GUEST).strip()

    def state(self):
        """What host-b's libvirtd has, and whose files appeared."""
        virsh = self.lab.virsh
        info = virsh(B, "dominfo", BYSTANDER)
        return {"domains": sorted(virsh(B, "list", "--all", "--uuid", "--name").split()),
                "pools": virsh(B, "pool-list", "--all"), "volumes": virsh(B, "vol-list", "keep"),
                "secrets": virsh(B, "secret-list"), "networks": virsh(B, "net-list", "--all"),
                "filters": virsh(B, "nwfilter-list"), "snapshots": virsh(B, "snapshot-list", BYSTANDER),
                "bystander": virsh(B, "dumpxml", BYSTANDER), "kept": virsh(B, "dumpxml", "--inactive", BYSTANDER),
                "info": [line for line in info.splitlines() if re.match("State|Autostart|Persistent|Managed", line)],
                "files": sorted(path.name for path in self.files.iterdir())}

    # ---- sessions --------------------------------------------------------------

    def fresh(self):
        """A domain that host-b has never seen: XML, name, UUID."""
        with self.lock:
            self.count += 1
            name, its_uuid = f"rogue-{self.count}", str(uuid.uuid4())
        return self.template.replace(self.template_uuid, its_uuid).replace(f"<name>{GUEST}<", f"<name>{name}<"), name, its_uuid

    def session(self, xml, name, its_uuid, ticket_for=None):
        """Begins a migration of this; its ticket is good, or is for other XML than is sent."""
        file = self.folder / "rogue" / its_uuid
        digest = hashlib.sha256((ticket_for or xml).encode()).hexdigest()
        self.lab.pki.ticket(self.lab.agents[A], its_uuid, A, B, file, "--configuration-digest", digest)
        configuration = file.with_suffix(".xml")
        configuration.write_text(xml)
        return RogueSource(self.lab.agents[A], self.lab.pki.identity(A), to=B, address=f"{self.lab.side(B, 'ADDR')}:{PORT}",
                           ticket=bytes_of(file), domain=its_uuid, name=name, format="libvirt-xml", configuration=configuration)

    @contextlib.contextmanager
    def opened(self, *what):
        """A session whose control stream is open."""
        session = self.session(*what)
        try:
            if session.refusal:
                raise AssertionError(f"a good session was not begun: {session.refusal}")
            yield session
        finally:
            session.end()

    def refusals(self, migration, words=()):
        return self.audit.refusals(A, (migration, *words), ("migration.rpc", "migration.accept"))

    def audited(self, migration, words):
        """Is there a record that holds these words?"""
        with contextlib.suppress(TimeoutError):
            return bool(wait_for("an audit record", lambda: self.refusals(migration, words), 10))
        return False

    def row(self, what, migration, refused, words):
        audited = self.audited(migration, words)
        return (what, "refused" if refused else "DONE", " ".join(words) if audited else "NOT AUDITED"), refused and audited

    # ---- what is asked -----------------------------------------------------------

    def ask(self, number):
        """The request of that number, in a session of its own."""
        xml, name, its_uuid = self.fresh()
        request = self.requests(xml, name, its_uuid)[number]
        with self.opened(xml, name, its_uuid) as session:
            if request.stage != "joined":
                session.link.open()
            if request.stage == "prepared":
                answer = session.link.ask(rpc.prepare(xml, name, rpc.cookie(name, its_uuid)))
                assert answer.done, f"a good PREPARE was refused: {answer.text}"
            if request.leaves:
                session.link.socket.sendall(request.call)
                session.end()
                refused = True
            else:
                answer = session.link.ask(request.call)
                refused = not answer.done and (not answer.text or name in answer.text)
        return self.row(request.what, session.migration, refused, request.audited)

    def requests(self, xml, name, its_uuid):
        return rogue_requests.procedures(self.bystander) + rogue_requests.misuses(name, its_uuid, xml, self.bystander)

    def describe(self, number):
        """A domain beyond the policy, with a ticket for just this."""
        xml, name, its_uuid = self.fresh()
        what, evil, place = rogue_requests.configurations(xml, self.folder)[number]
        session = self.session(evil, name, its_uuid)
        session.end()
        return self.row(f"domain: {what}", session.migration, session.refusal.startswith("refused denied"), (place,))

    def beyond_ticket(self):
        xml, name, its_uuid = self.fresh()
        more = re.sub(r"(<memory unit='KiB'>)\d+", r"\g<1>16777216", xml)
        session = self.session(more, name, its_uuid, ticket_for=xml)
        session.end()
        return self.row("domain: more memory than the ticket's", session.migration, session.refusal.startswith("refused denied"),
                 ("configuration",))

    # ---- controls ------------------------------------------------------------------

    def benign(self):
        xml, name, its_uuid = self.fresh()
        with self.opened(xml, name, its_uuid) as session:
            answer = session.link.open().ask(rpc.prepare(xml, name, rpc.cookie(name, its_uuid)))
            audited = self.refusals(session.migration)
            here = name in self.lab.virsh(B, "list", "--all", "--name")
        self.table.control("what belongs to a migration, up to PREPARE", f"done{answer.text}", answer.done and here and not audited)

    def unchanged(self, before):
        with contextlib.suppress(TimeoutError):
            wait_for("host-b as it was", lambda: self.state() == before, 20)
        after = self.state()
        changed = ", ".join(key for key in before if before[key] != after[key])
        self.table.control("host-b's libvirtd and files are as before", changed or "yes", not changed)

    def migrates(self):
        try:
            state = Mover(self.lab, self.folder).migrate(GUEST, A, B)["state"]
        except CommandFailed as failure:
            state = str(failure)
        self.table.control("a migration from host-a to host-b afterwards", state, state == "completed" and self.lab.runs_on(B, GUEST))

    def straight(self):
        """The same requests to libvirtd itself: so it is the proxy that refuses them, not their form."""
        done, senseless = 0, []
        for request in rogue_requests.procedures(self.bystander):
            link = rpc.Link.to(self.lab.side(B, "SOCK"))
            answer = link.open().ask(request.call)
            link.close()
            done += answer.done
            if rpc.UNDECODABLE in answer.text or not (answer.done or answer.text):
                senseless.append(f"{request.what}: {answer.text or 'closed'}")
        every = len(rogue_requests.procedures(self.bystander))
        self.table.control("the same procedures asked of libvirtd itself", f"{done} of {every} done", done >= 20)
        self.table.control("those that it did not understand", ", ".join(senseless) or "none", not senseless)
        planted = [name for name in self.lab.virsh(B, "list", "--all", "--name").split() if name.startswith("planted")]
        self.table.control("domains that they planted there", ", ".join(sorted(planted)), len(planted) >= 2)

    def run(self):
        with self.lab:
            self.prepare()
            before = self.state()
            asked = [functools.partial(self.ask, number) for number in range(len(self.requests(*self.fresh())))]
            described = [functools.partial(self.describe, number)
                         for number in range(len(rogue_requests.configurations(self.template, self.folder)))]
            with concurrent.futures.ThreadPoolExecutor(4) as several:
                for row in several.map(lambda request: request(), [*asked, *described, self.beyond_ticket]):
                    self.table.row(*row)
            self.unchanged(before)
            self.benign()
            self.unchanged(before)
            self.migrates()
            self.straight()
            agent = self.lab.agents[B]
            done = agent.show("audit", "verify", agent.state / "audit.log", "--key", self.lab.pki.certificate(B))
            self.table.control("host-b's audit log", "verified" if done.returncode == 0 else done.stdout + done.stderr, done.returncode == 0)
        return self.table.print()


if __name__ == "__main__":
    program.run(__doc__, "vmsec-rogue-", lambda folder, build: Rogue(folder, build).run())
