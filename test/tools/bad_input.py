#!/usr/bin/env python3
"""Bad input through the real programs: policies, configurations, certificates, tickets, messages, quotes, logs.

    python3 test/tools/bad_input.py BUILD

Each row is one input that is wrong in one way. It must end with the exit code that docs/cli.md (of vmsecd:
docs/configuration.md) gives for its kind, with a message that names the place (file, line and column, or the
field) and the cause, and it must change nothing: neither a file of the state folders nor a VM's limits. The audit
log may only have grown by refusals. The simulated hypervisor and a software TPM are all that it needs.
"""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab.agent import toml  # noqa: E402
from lab.sim import SimLab  # noqa: E402
from bad_peers import LyingAgent, LyingHost, message, text_field  # noqa: E402

ENVIRONMENT, MISTAKE, REFUSED = 1, 2, 3
DOMAIN = """name = "web-1"
uuid = "0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e01"
memory = "16 MiB"
[workload]
pattern = "idle"
[[disk]]
target = "vda"
source = "web-1.img"
capacity = "1 MiB"
"""
GRANTS = """[[grant]]
module = "isolation"
vm = "*"
interfaces = ["vmsec.DomainControl", "vmsec.ResourceControl"]
[[grant]]
module = "throttle"
vm = "*"
interfaces = ["vmsec.DomainControl", "vmsec.IoControl"]
[[grant]]
module = "measured_boot"
vm = "*"
interfaces = ["vmsec.BootEvidence"]
[[grant]]
module = "migration"
vm = "*"
interfaces = ["vmsec.DomainControl", "vmsec.Migration"]
"""
VM = 'version = 1\n[[vm]]\nmatch = "web-*"\n'


class Bench:
    """The lab, the inputs' folder, and what is known of each row."""

    def __init__(self, folder, build):
        self.folder = folder
        self.inputs = folder / "inputs"
        self.inputs.mkdir()
        self.programs = build / "bin"
        self.rows = []
        self.failures = []
        self.lab = None

    def file(self, name, content):
        path = self.inputs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def loop(self, name):
        """A name that leads to itself."""
        path = self.inputs / name
        path.symlink_to(path.name)
        return path

    def run(self, program, *arguments):
        done = subprocess.run([str(self.programs / program), *map(str, arguments)], capture_output=True, timeout=120,
                              stdin=subprocess.DEVNULL, env={**os.environ, "VMSEC_AGENT": str(self.folder / "nobody")})
        text = done.stderr.decode(errors="replace")
        if not text.strip():  # a verdict or a report is a result
            text = " ".join(done.stdout.decode(errors="replace").split())
        return done.returncode, text

    def row(self, what, code, pattern, program, *arguments):
        """One bad input: the exit code, and what the message must say (a regular expression)."""
        before = self.state()
        got, error = self.run(program, *arguments)
        self.judge(what, code, got, pattern, error, before)

    def judge(self, what, code, got, pattern, error, before, terminal=True):
        wrong = []
        if got != code:
            wrong.append(f"exit {got}, not {code}")
        if not re.search(pattern, error):
            wrong.append(f"the message does not say {pattern!r}")
        if terminal and re.search(r"[\0-\x08\x0b-\x1f\x7f]", error):
            wrong.append("the message steers the terminal")
        wrong += self.differences(before, self.state())
        line = error.strip().splitlines()[0] if error.strip() else ""
        self.rows.append((what, str(got), line.replace(str(self.folder), "...")))
        if wrong:
            self.failures.append(f"{what}: {'; '.join(wrong)}\n    {error.strip()}")

    def state(self):
        """Every file that a bad input might have touched, and the VM's limits."""
        files, acts = {}, {}
        for host in ("host-a", "host-b", "pki"):
            for path in sorted((self.folder / host).rglob("*")):
                relative = str(path.relative_to(self.folder))
                if not path.is_file() or path.suffix in (".log", ".lock") or "/tpm" in relative:
                    continue
                if path.name == "audit.head":
                    continue
                files[relative] = hashlib.sha256(path.read_bytes()).hexdigest()
        for log in sorted(self.folder.glob("host-*/state/audit.log")):
            acts[str(log)] = [json.loads(line) for line in log.read_text().splitlines() if line]
        limits = None
        if self.lab and "host-a" in self.lab.agents:
            agent = self.lab.agents["host-a"]
            limits = (agent.vmsec("vm", "limits", "web-1"), agent.domain("web-1")["state"])
        return files, acts, limits

    @staticmethod
    def differences(before, after):
        wrong = [f"{name} changed" for name in before[0].keys() | after[0].keys()
                 if before[0].get(name) != after[0].get(name)]
        if before[2] != after[2]:
            wrong.append("the VM changed")
        for log, acts in after[1].items():
            new = [act for act in acts[len(before[1].get(log, [])):] if act["kind"] == "act"]
            wrong += [f"the audit log says {act['action']} {act['outcome']}" for act in new
                      if act["outcome"] not in ("refused", "failed", "unknown")]
            begun, failed = (sum(act["outcome"] == outcome for act in new) for outcome in ("unknown", "failed"))
            if begun > failed:
                wrong.append("the audit log has an act that begins and does not end")
        return wrong


def policies(bench):
    bad = [
        ("truncated", VM + "[vm.isolation]\ncpu_quota = \"15", "5:16: "),
        ("empty", "", "1:1: .*version is missing"),
        ("wrong type", VM + "[vm.isolation]\ncpu_weight = \"much\"\n", "5:14: .*cpu_weight"),
        ("wrong unit", VM + "[vm.throttle.disk.vda]\nread = \"20 MB\"\n", "5:8: .*unknown unit \"MB\""),
        ("unit of another kind", VM + "[vm.isolation]\nmemory_limit = \"30%\"\n", "5:16: .*memory_limit"),
        ("absurd size", VM + "[vm.isolation]\nmemory_limit = \"99999999999999999999 GiB\"\n", "5:16: "),
        ("negative", VM + "[vm.isolation]\ncpu_weight = -5\n", "5:14: .*cpu_weight"),
        ("unknown key", VM + "[vm.isolation]\ncpu_qota = \"5%\"\n", "5:12: cpu_qota: unknown key"),
        ("unknown section", VM + "[vm.firewall]\nopen = 1\n", r"4:1: \[vm.firewall\]: no loaded module"),
        ("unknown interface", "version = 1\n[[grant]]\nmodule = \"throttle\"\nvm = \"*\"\ninterfaces = [\"vmsec.Root\"]\n",
         "5:15: .*vmsec.Root"),
        ("module not loaded", "version = 1\n[[grant]]\nmodule = \"nobody\"\nvm = \"*\"\ninterfaces = []\n", "2:1: .*no module \"nobody\""),
        ("NUL", VM + "\0", "4:1: the file has a NUL"),
        ("escaped NUL", "version = 1\n[[vm]]\nmatch = \"web\\u0000\"\n", "3:9: .*NUL"),
        ("not UTF-8", b"version = 1\n# \xff\n", "2:3: .*not UTF-8"),
        ("name defined through itself", VM + "[vm.x]\na = 1\na.a = 1\n", "6:"),
        ("rule that can never match", "version = 1\n[[vm]]\nmatch = \"*\"\n[[vm]]\nmatch = \"web-*\"\n", "4:|5:"),
        ("nested too deeply", "version = 1\nx = " + "[" * 5000 + "\n", "2:21: .*nest too deeply"),
        ("later version", "version = 7\n", "1:11: version 7"),
    ]
    socket_path = bench.lab.agents["host-a"].socket
    for what, content, pattern in bad:
        path = bench.file(f"policy/{what.replace(' ', '-')}.toml", content)
        pattern = f"{re.escape(path.name)}:(?:{pattern})"
        bench.row(f"policy: {what}", MISTAKE, pattern, "vmsec", "--agent", socket_path, "policy", "apply", path)
    big = bench.file("policy/big.toml", "version = 1\n" + "#" * (2 << 20))
    bench.row("policy: absurd length", MISTAKE, r"big\.toml: .*1048576 bytes", "vmsec", "--agent", socket_path, "policy", "apply", big)
    bench.row("policy: file without end", MISTAKE, "/dev/zero: .*1048576 bytes", "vmsec", "--agent", socket_path, "policy", "check",
              "/dev/zero")
    bench.row("policy: cyclic name", MISTAKE, r"loop\.toml: .*[Ss]ymbolic links", "vmsec", "--agent", socket_path, "policy",
              "check", bench.loop("loop.toml"))
    bench.row("policy: a folder", MISTAKE, "inputs: .*directory", "vmsec", "--agent", socket_path, "policy", "check",
              bench.inputs)


def configurations(bench):
    bad = [
        ("unknown key", "[host]\ncolour = 1\n", r":2:\d+: host.colour: unknown key"),
        ("wrong type", "[host]\nname = 7\n", r":2:\d+: host.name: must be a text"),
        ("truncated", "[host]\nname = \"host", r":2:\d+: "),
        ("NUL", "[host]\nname = \"a\\u0000\"\n", r":2:\d+: .*NUL"),
        ("not UTF-8", b"[host]\nname = \"\xff\"\n", r":2:\d+: "),
        ("absurd length", "#" * (2 << 20), ": .*1 ?(MiB|048576)"),
        ("bad name", "[host]\nname = \"Host A\"\n", ": host.name: "),
        ("port out of range", "[host]\nlisten = \"127.0.0.1:70000\"\n", ": .*listen.*70000"),
        ("peer without address", "[[peer]]\nname = \"b\"\n", r":2:\d+: \[\[peer\]\]: name and address"),
        ("peer twice", "[[peer]]\nname = \"b\"\naddress = \"b:1\"\n" * 2, r":5:\d+: \[\[peer\]\]: a second peer \"b\""),
        ("name defined through itself", "[host]\nname = \"a\"\n[host.name]\nx = 1\n", r":3:\d+: "),
        ("no such policy", "[host]\npolicy = \"none.toml\"\n", r": .*none\.toml: No such file"),
    ]
    for what, content, pattern in bad:
        path = bench.file(f"config/{what.replace(' ', '-')}.toml", content)
        bench.row(f"vmsecd.toml: {what}", MISTAKE, re.escape(path.name) + pattern, "vmsecd", "--check", "--config", path)
    bench.row("vmsecd.toml: cyclic name", MISTAKE, r"own\.toml: .*[Ss]ymbolic links", "vmsecd", "--check", "--config",
              bench.loop("own.toml"))


def definitions(bench):
    head = 'version = 1\nname = "new"\nvcpus = 1\nmemory = "16 MiB"\n'
    disk = head + '[[disk]]\ntarget = "vda"\nsource = "%s"\n'
    bad = [
        ("truncated", head + "[[disk]]\ntarget = \"vd", "6:13: "),
        ("empty", "", "1:1: .*version is missing"),
        ("wrong type", head.replace("vcpus = 1", "vcpus = \"one\""), "3:9: vcpus is a text"),
        ("wrong unit", head.replace("MiB", "MiB/s"), "4:10: memory: .*unknown unit"),
        ("no unit", head.replace("16 MiB", "16"), "4:10: memory: .*unit is missing"),
        ("absurd size", head.replace("16 MiB", "99999999 TiB"), "4:10: memory: "),
        ("negative", head.replace("vcpus = 1", "vcpus = -1"), "3:9: vcpus: want 1"),
        ("unknown key", head + "cpus = 2\n", "5:1: cpus: unknown key"),
        ("unknown kind of guest", head + "guest = \"lxc\"\n", "5:9: guest: "),
        ("NUL", head + "\0", "5:1: the file has a NUL"),
        ("escaped NUL", head.replace("new", "ne\\u0000w"), "2:8: name: "),
        ("not UTF-8", head.encode() + b"# \xff\n", "5:3: .*not UTF-8"),
        ("path that climbs", disk % "/var/lib/../../etc/shadow", "7:10: disk.vda.source: "),
        ("a line break in a path", disk % "/tmp/a\\nb", "7:10: disk.vda.source: "),
        ("a MAC of a group", head + "[[nic]]\nmac = \"01:00:5e:00:00:01\"\n", "6:7: nic.0.mac: "),
        ("a bridge with options", head + "[[nic]]\nmac = \"52:54:00:00:00:01\"\nbridge = \"br0,script=x\"\n", "7:10: nic.0.bridge: "),
        ("markup in a name", head.replace("new", "</name><x>"), "2:8: name: "),
        ("nested too deeply", head + "x = " + "[" * 5000 + "\n", "5:21: .*nest too deeply"),
        ("later version", head.replace("version = 1", "version = 9"), "1:11: version 9"),
    ]
    socket_path = bench.lab.agents["host-a"].socket
    for what, content, pattern in bad:
        path = bench.file(f"definition/{what.replace(' ', '-')}.toml", content)
        bench.row(f"definition: {what}", MISTAKE, f"{re.escape(path.name)}:(?:{pattern})", "vmsec", "--agent", socket_path, "vm", "define", path)
    bench.row("definition: file without end", MISTAKE, "/dev/zero: .*1048576 bytes", "vmsec", "--agent", socket_path, "vm", "define", "/dev/zero")
    bench.row("definition: cyclic name", MISTAKE, r"own\.def: .*[Ss]ymbolic links", "vmsec", "--agent", socket_path, "vm", "define",
              bench.loop("own.def"))
    missing = bench.file("definition/missing-disk.toml", disk % (bench.inputs / "none.raw"))
    bench.row("definition: missing disk", MISTAKE, r"disk\.vda\.source: there is no .*none\.raw", "vmsec", "--agent", socket_path, "vm",
              "define", missing)
    folder = bench.file("definition/folder.toml", disk % bench.inputs)
    bench.row("definition: a folder for a disk", MISTAKE, r"disk\.vda\.source: ", "vmsec", "--agent", socket_path, "vm", "define", folder)
    lossy = bench.file("definition/lossy.toml", head + "guest = \"pvh\"\n")
    bench.row("definition: what the hypervisor cannot have", MISTAKE, "guest: ", "vmsec", "--agent", socket_path, "vm", "define", lossy)
    bench.row("definition: without what is not lost", MISTAKE, "without tpm: nothing is lost", "vmsec", "--agent", socket_path, "vm", "define",
              lossy, "--without", "tpm")
    bench.row("vm undefine: it runs", MISTAKE, "undefine web-1: ", "vmsec", "--agent", socket_path, "vm", "undefine", "web-1")
    grant = bench.file("policy/interchange.toml",
                       "version = 1\n[[grant]]\nmodule = \"throttle\"\nvm = \"*\"\ninterfaces = [\"vmsec.Interchange\"]\n")
    bench.row("policy: a grant of what no module gets", MISTAKE, "5:15: .*vmsec.Interchange cannot be granted", "vmsec", "--agent", socket_path,
              "policy", "check", grant)


def certificates(bench):
    pki = bench.lab.pki
    good = pki.identity("host-a")
    certificate = pathlib.Path(good["certificate"]).read_bytes()
    number = iter(range(100))

    def identity(what, code, pattern, name="host-a", check=True, **changed):
        config = bench.folder / f"inputs/identity-{next(number)}.toml"
        home = bench.folder / "inputs/home"
        lines = [f'[host]\nname = "{name}"\nstate = "{home}/state"\nrun = "{home}/run"\nlisten = "127.0.0.1:0"',
                 '[backend]\nplugin = "sim"', "[identity]"]
        lines += [f"{key} = {toml(str(value) if isinstance(value, pathlib.Path) else value)}"
                  for key, value in {**good, **changed}.items()]
        config.write_text("\n".join(lines) + "\n")
        bench.row(f"certificate: {what}", code, pattern, "vmsecd", *(["--check"] if check else []), "--config", config)

    cut = bench.file("cut.crt", certificate[:200])
    identity("truncated", MISTAKE, r"cut\.crt: .*certificate", certificate=cut)
    identity("NULs", MISTAKE, r"nul\.crt: ", certificate=bench.file("nul.crt", b"\0" * 1000))
    identity("absurd length", MISTAKE, r"big\.crt: ", certificate=bench.file("big.crt", certificate + b"x" * (8 << 20)))
    identity("a key in its place", MISTAKE, r"host-a\.key", certificate=good["key"])
    identity("a folder", MISTAKE, r"identity\.certificate = ", certificate=bench.inputs)
    identity("cyclic name", MISTAKE, r"identity\.ca = .*loop\.crt", ca=bench.loop("loop.crt"))
    identity("unknown key in [identity]", MISTAKE, r"identity-\d+\.toml:\d+:\d+: identity\.colour: unknown key", colour="red")
    identity("list for a text", MISTAKE, r"identity-\d+\.toml:\d+:\d+: identity\.key: must be a text", key=["a"])
    identity("placement key that is none", MISTAKE, r"cut\.pub: ", placement_keys=[str(bench.file("cut.pub", "-----BEGIN PUB"))])
    identity("of another host", MISTAKE, "host.name is \"host-b\".*\"host-a\"", name="host-b", check=False)
    identity("key of another host", MISTAKE, r"host-b\.key", key=pki.identity("host-b")["key"], check=False)
    other = bench.folder / "inputs/other-ca"
    bench.run("vmsec", "pki", "init", other, "--name", "other")
    identity("of another authority", REFUSED, r"host-a\.crt", ca=other / "ca.crt", revocations=other / "ca.crl", check=False)
    open_key = bench.file("open.key", pathlib.Path(good["key"]).read_bytes())
    open_key.chmod(0o644)
    identity("key that others may read", REFUSED, r"open\.key: others may read it", key=open_key, check=False)

    for what, name in (("a path for a name", "../x"), ("an endless name", "x" * 64), ("upper case", "Web"),
                       ("a name of dots", "a..b"), ("a line break in a name", "a\nb")):
        bench.row(f"pki issue: {what}", MISTAKE, "host name|name", "vmsec", "pki", "issue", pki.folder / "ca", name, "--out",
                  bench.inputs)
    bench.row("pki issue: no authority there", MISTAKE, "no-ca", "vmsec", "pki", "issue", bench.inputs / "no-ca", "web-9")
    bench.row("pki revoke: unknown host", MISTAKE, "web-9", "vmsec", "pki", "revoke", pki.folder / "ca", "web-9")


def tickets(bench):
    lab, agent = bench.lab, bench.lab.agents["host-a"]
    good = lab.pki.ticket(agent, "web-1", "host-a", "host-b", bench.folder / "good.ticket").read_text()
    lines = good.strip().splitlines()
    middle = lines[2]
    swapped = ("B" if middle[5] == "A" else "A").join((middle[:5], middle[6:]))
    bad = [
        ("empty", ""),
        ("truncated", good[:120]),
        ("another header", good.replace("TICKET", "LETTER")),
        ("not base64", good.replace(middle, middle[:10] + "*" + middle[11:])),
        ("NUL", good.replace(middle, middle[:10] + "\0" + middle[11:])),
        ("two tickets", good + good),
        ("absurd length", "A" * (4 << 20)),
    ]
    for what, content in bad:
        path = bench.file(f"ticket/{what.replace(' ', '-')}.ticket", content)
        bench.row(f"ticket: {what}", MISTAKE, re.escape(path.name) + ".*: ", "vmsec", "ticket", "show", path)
    changed = bench.file("ticket/changed.ticket", good.replace(middle, swapped))
    bench.row("ticket: changed", REFUSED, r"signature|no placement key|verify|ticket", "vmsec", "ticket", "show", changed, "--key",
              f"{lab.pki.placement}.pub")
    end = lines[-2]
    forged = bench.file("ticket/forged.ticket", good.replace(end, ("BBBB" if end[4:8] != "BBBB" else "CCCC").join((end[:4], end[8:]))))
    bench.row("ticket: with another signature, to migrate", REFUSED, "ticket", "vmsec", "--agent", agent.socket, "migrate",
              "web-1", "--to", "host-b", "--ticket", forged)


def messages(bench):
    """Bytes that are no call, at the agent's socket; and an agent that answers with none."""
    path = bench.lab.agents["host-a"].socket
    call = text_field(1, b"vmsec.DomainControl")
    bad = [
        ("absurd size", b"\xff\xff\xff\xff", 6, "4294967295 bytes exceed 16 MiB"),
        ("truncated", b"\0\0\0\x09half", 102, "ended within it"),
        ("garbage", message(b"\xff\xff\xff\xff"), 1, r"decode vmsec\.rpc\.Request"),
        ("wrong type", message(b"\x08\x01"), 1, r"vmsec\.rpc\.Request\.interface: not length-delimited"),
        ("number out of range", message(call + b"\x10\xff\xff\xff\xff\xff\x0f"), 1, r"method: number out of range"),
        ("unknown interface", message(text_field(1, b"vmsec.Root")), 2, "vmsec.Root"),
        ("unknown method", message(call + b"\x10\x4d"), 4, "vmsec.DomainControl has no method 77"),
        ("a bad UUID", message(call + b"\x10\x03" + text_field(3, text_field(1, b"web-1"))), 1, "UUID \"web-1\""),
        ("NUL in a name", message(text_field(1, b"vmsec.DomainControl\0")), 2, "provides"),
        ("PeerHandler from an operator", message(text_field(1, b"migration:vmsec.PeerHandler") + b"\x10\x01"), 200,
         "only other hosts"),
    ]
    for what, sent, code, pattern in bad:
        before = bench.state()
        got, error = LyingAgent.ask(path, sent)
        bench.judge(f"message: {what}", code, got, pattern, error, before, terminal=False)
    answers = [
        ("agent answers garbage", message(b"\xff\xff"), MISTAKE, r"decode vmsec\.rpc\.Reply"),
        ("agent answers an absurd size", b"\xff\xff\xff\xff", MISTAKE, "exceed 16 MiB"),
        ("agent stops half-way", b"\0\0\0\x09half", ENVIRONMENT, "ended within it"),
        ("agent hangs up", b"", ENVIRONMENT, "closed the connection"),
        ("agent answers another message", message(text_field(2, b"\x0a\x02\x08\x01")), MISTAKE, "decode vmsec.DomainInfo"),
    ]
    for what, answer, code, pattern in answers:
        with LyingAgent(bench.folder / "liar.sock", answer) as liar:
            bench.row(f"message: {what}", code, pattern, "vmsec", "--agent", liar.path, "vm", "list")


def audit_logs(bench):
    source = bench.lab.agents["host-a"].state / "audit.log"
    certificate = bench.lab.pki.certificate("host-a")
    lines = source.read_bytes().splitlines(keepends=True)
    log = b"".join(lines)
    act = next(i for i, line in enumerate(lines) if b'"kind":"act"' in line)
    changed = lines[:act] + [re.sub(rb'"outcome":"[a-z]+"', b'"outcome":"refused "', lines[act])] + lines[act + 1:]
    bad = [
        ("truncated in the middle", log[:len(lines[0]) + 40] + b"\n" + log[len(lines[0]) + 60:]),
        ("changed", b"".join(changed)),
        ("a record missing", b"".join(lines[:act] + lines[act + 1:])),
        ("records swapped", b"".join([lines[1], lines[0]] + lines[2:])),
        ("NUL", log.replace(b'"host"', b'"ho\0t"', 1)),
        ("wrong type", log.replace(b'"seq":1,', b'"seq":"1",', 1)),
        ("absurd number", log.replace(b'"seq":1,', b'"seq":99999999999999999999,', 1)),
        ("unknown key", log.replace(b'{"seq":1,', b'{"colour":1,"seq":1,', 1)),
        ("an endless line", b"x" * (8 << 20) + b"\n" + log),
    ]
    for what, content in bad:
        path = bench.file(f"audit/{what.replace(' ', '-')}.log", content)
        bench.row(f"audit log: {what}", REFUSED, re.escape(path.name) + r".*line \d+|line \d+", "vmsec", "audit", "verify", path,
                  "--key", certificate)
    good = bench.file("audit/good.log", log)
    bench.row("audit log: another host's key", REFUSED, r"line \d+", "vmsec", "audit", "verify", good, "--key",
              bench.lab.pki.certificate("host-b"))
    bench.row("audit log: an anchor of another log", REFUSED, "anchor", "vmsec", "audit", "verify", good, "--key", certificate,
              "--anchor", "1:" + "0" * 64)
    bench.row("audit log: an anchor that is none", MISTAKE, "anchor", "vmsec", "audit", "verify", good, "--key", certificate,
              "--anchor", "one")


def references(bench, reference):
    agent, good = bench.lab.agents["host-a"], reference.read_text()
    bad = [
        ("truncated", good[:good.index("values") + 12], r":\d+:\d+: "),
        ("unknown key", good + "\ncolour = 1\n", r":\d+:\d+: .*colour"),
        ("wrong type", good.replace("version = 1", "version = \"1\""), r":\d+:\d+: "),
        ("digest of a wrong length", re.sub(r'"[0-9a-f]{64}"', '"00"', good, count=1), r":\d+:\d+: "),
        ("absurd PCR", good + "\n[pcr.99]\nvalues = [\"" + "0" * 64 + "\"]\n", r":\d+:\d+: .*99"),
        ("NUL", good + "\0", r":\d+:\d+: "),
    ]
    try:
        for what, content, pattern in bad:
            reference.write_text(content)
            bench.row(f"reference: {what}", MISTAKE, re.escape(reference.name) + pattern, "vmsec", "--agent", agent.socket,
                      "attest", "host-b")
    finally:
        reference.write_text(good)


def quotes(bench):
    """A host with the right certificate that answers with evidence of its own making."""
    lab, agent = bench.lab, bench.lab.agents["host-a"]
    log = lab.event_log("host-b").read_bytes()
    attest = b"\xffTCG\x80\x18" + b"\0" * 100
    evidence = lambda a, s, l: text_field(1, a) + text_field(2, s) + text_field(3, l)  # noqa: E731
    bad = [
        ("none", evidence(b"", b"", log), "quote|attest|evidence"),
        ("truncated", evidence(attest[:20], b"\0\x18\0\x0b" + b"\0" * 68, log), "quote|attest"),
        ("another structure", evidence(b"\xffTCG\x80\x17" + b"\0" * 100, b"", log), "quote|attest"),
        ("wrong magic", evidence(b"XXXX" + attest[4:], b"", log), "quote|attest"),
        ("no signature", evidence(attest, b"", log), "quote|signature|attest"),
        ("absurd size", evidence(b"\xff" * 300_000, b"\xff" * 70_000, log), "quote|attest|evidence|KiB|bytes"),
        ("no message", b"\xff\xff\xff", "decode|Evidence|answer"),
        ("wrong type", b"\x08\x01", "Evidence.attest|decode"),
    ]
    with LyingHost(lab, "host-b") as liar:
        for what, content, pattern in bad:
            liar.answer = content
            bench.row(f"quote: {what}", REFUSED, "host-b.*untrusted.*(" + pattern + ")", "vmsec", "--agent", agent.socket,
                      "attest", "host-b")


def event_logs(bench):
    """A host whose event log is not what its TPM was extended with."""
    lab, agent = bench.lab, bench.lab.agents["host-a"]
    log = lab.event_log("host-a")
    good = log.read_bytes()
    bad = [
        ("truncated", good[:len(good) // 2 + 3]),
        ("empty", b""),
        ("absurd event size", good[:28] + b"\xff\xff\xff\xff" + good[32:]),
        ("changed", good[:-200] + bytes([good[-200] ^ 1]) + good[-199:]),
        ("text", b"no event log\n" * 100),
    ]
    try:
        for what, content in bad:
            log.write_bytes(content)
            bench.row(f"event log: {what}", REFUSED, "log|event|PCR", "vmsec", "--agent", agent.socket, "attest", "--local")
    finally:
        log.write_bytes(good)


def modules(bench):
    folder = bench.inputs / "modules"
    folder.mkdir()
    whole = (bench.programs.parent / "lib/vmsec/modules/isolation.so").read_bytes()
    state = bench.inputs / "module-state"
    good = (bench.programs.parent / "lib/vmsec/modules/isolation.so.sig").read_bytes()
    other = good.replace(b'kind = "module"', b'kind = "plugin"')
    for what, content, signature in (
        ("not signed", whole, None),
        ("truncated", whole[:5000], good),
        ("text", b"no object\n" * 100, good),
        ("one byte changed", whole[:-1] + bytes([whole[-1] ^ 1]), good),
        ("signed as a plugin", whole, other),
    ):
        (folder / "isolation.so").write_bytes(content)
        (folder / "isolation.so.sig").unlink(missing_ok=True)
        if signature is not None:
            (folder / "isolation.so.sig").write_bytes(signature)
        bench.row(f"module: {what}", REFUSED, r"isolation\.so: ", "vmsec", "--plugin", "sim", "--plugin-path",
                  bench.programs.parent / "lib/vmsec/plugins", "--module-path", folder, "--state", state, "module", "list")


def prepare(bench, stack, build):
    policy = bench.folder / "policy.toml"
    policy.write_text("version = 1\n" + GRANTS)
    reference = bench.folder / "golden.toml"
    bench.lab = stack.enter_context(SimLab(bench.folder, build, {"measured_boot": {"reference": str(reference)}}))
    bench.lab.define("host-a", "web-1", DOMAIN)
    bench.lab.start_agents(policy)
    agent = bench.lab.agents["host-a"]
    for command in (("attest", "enrol", "host-b"), ("policy", "apply")):
        agent.vmsec(*command)
    reference.write_text(agent.show("attest", "learn", "host-b").stdout)
    agent.vmsec("attest", "--local")  # its TPM's key is made now
    agent.vmsec("attest", "host-b")  # so that what is refused later is refused for its own sake
    return reference


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vmsec-bad-", dir="/tmp")))
        bench = Bench(folder, build)
        reference = prepare(bench, stack, build)
        policies(bench)
        configurations(bench)
        definitions(bench)
        certificates(bench)
        tickets(bench)
        messages(bench)
        audit_logs(bench)
        modules(bench)
        references(bench, reference)
        event_logs(bench)
        quotes(bench)
    width = max(len(row[0]) for row in bench.rows)
    print(f"{'input':<{width}} | exit | error")
    for what, code, error in bench.rows:
        print(f"{what:<{width}} | {code:>4} | {error[:150]}")
    for failure in bench.failures:
        print(f"FAILED {failure}")
    print(f"bad input: {len(bench.rows)} inputs, {len(bench.failures)} failed")
    return 1 if bench.failures or len(bench.rows) < 40 else 0


if __name__ == "__main__":
    sys.exit(main())
