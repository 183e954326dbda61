#!/usr/bin/env python3
"""Modules that were built once, out of tree, against the installed package: at work on one hypervisor, by each carrier.

    examples.py sim|kvm|xen PREFIX FOLDER [--carrier worker|in-process]

PREFIX is where the package was installed; FOLDER has MODULE/build/MODULE.so, as test/package/build leaves them: the examples, and what
`vmsec module new` writes. They are not built again: a key that the host trusts signs them here. FOLDER/results.json keeps what each run
found, with whole digests. The table is of all runs so far; two digests of one module, on whatever hypervisors, are a failure. Xen's part
is also done by xen_hosts.py --examples FOLDER, in the boot that it makes anyway.
"""
import argparse
import dataclasses
import hashlib
import json
import pathlib
import re
import secrets
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab.agent import Agent, CommandFailed, Programs, wait_for  # noqa: E402
from lab.kvm import KvmLab  # noqa: E402
from lab.reference import write_reference  # noqa: E402
from lab.report import Table  # noqa: E402
from lab.xen import SHARE, XenAgent, XenLab  # noqa: E402

HOST, NAME = "host-a", "watched-1"
CARRIERS = ("worker", "in-process")
PLANTED = "planted-by-the-test"
SIM_DOMAIN = f"""\
name = "{NAME}"
uuid = "3f8d1c52-7a64-4e0b-9c1d-5e2b7f4a9008"
memory = "64 MiB"
vcpus = 2
[workload]
pattern = "hot"
marker = "{PLANTED}"
[[disk]]
target = "vda"
source = "one.img"
capacity = "16 MiB"
read = "4 MB/s"
"""
GRANTS = {"memory_scanner": ["MemoryAccess", "DomainControl"], "io_anomaly": ["IoControl", "DomainControl"],
          "compliance": ["DomainControl", "ResourceControl", "IoControl"], "new_in_cpp": ["DomainControl"], "new_in_c": ["DomainControl"]}


@dataclasses.dataclass(frozen=True)
class Target:
    """A guest that has PLANTED in its memory, reads its disk and has no limits; how a vmsecd is made that reaches it, and the tables of its configuration."""
    hypervisor: str
    domain: str
    backend: dict
    agent: object  # of a name


def said(text, what):
    """What a report measured."""
    match = re.search(rf"^{what} +(.+)$", text, re.M)
    assert match, f"it does not say \"{what}\""
    return match[1]


class Results:
    """What all runs of one folder's modules found."""

    def __init__(self, folder):
        self.file = pathlib.Path(folder) / "results.json"
        self.rows = json.loads(self.file.read_text()) if self.file.exists() else []

    def add(self, **row):
        self.rows = [old for old in self.rows if any(old[key] != row[key] for key in ("module", "hypervisor", "carrier"))] + [row]
        self.file.write_text(json.dumps(self.rows, indent=1) + "\n")

    def print(self):
        """Whether every row held, of one binary for each module."""
        table = Table("The same modules everywhere", ("module", "sha256", "hypervisor", "carrier", "found"), "results")
        for row in self.rows:
            table.row((row["module"], row["sha256"][:12], row["hypervisor"], row["carrier"], row["found"]), row["passed"])
        for module in GRANTS:
            digests = {row["sha256"] for row in self.rows if row["module"] == module}
            table.control(f"{module} is one file", ", ".join(sorted(digests)), len(digests) == 1)
        return table.print()


class Examples:
    """The modules in one vmsecd, by one carrier."""

    def __init__(self, target, carrier, prefix, folder):
        self.target, self.carrier, self.built = target, carrier, pathlib.Path(folder)
        self.vmsec = Programs(prefix).vmsec
        self.agent = target.agent(f"examples-{carrier}")
        self.place = self.agent.folder / "modules"
        self.place.mkdir(parents=True)
        self.sha256, self.said = {}, []

    def tool(self, *arguments):
        subprocess.run([str(self.vmsec), *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)

    def sign(self):
        """Copies, and a signature beside each; the host's trust store names the key."""
        key = self.agent.folder / "vendor.key"
        self.tool("module", "key", key)
        roles = ["--role", "module", *(["--role", "in-process"] if self.carrier == "in-process" else [])]
        self.tool("--trust", self.agent.folder / "trust.toml", "module", "trust", "add", "vendor", f"{key}.pub", *roles)
        for name in GRANTS:
            file = self.place / f"{name}.so"
            shutil.copy(self.built / name / "build" / f"{name}.so", file)
            self.sha256[name] = hashlib.sha256(file.read_bytes()).hexdigest()
            self.tool("module", "sign", file, "--key", key)

    def start(self):
        agent, seen = self.agent, self.agent.seen
        (agent.folder / "policy.toml").write_text("version = 1\n" + "".join(
            f'[[grant]]\nmodule = "{module}"\nvm = "{self.target.domain}"\n'
            f'interfaces = {json.dumps(["vmsec." + i for i in interfaces])}\n' for module, interfaces in GRANTS.items()))
        agent.configure({
            "host": {"name": agent.name, "state": str(agent.state), "run": str(agent.run), "control": str(agent.socket),
                     "policy": str(seen / "policy.toml"), "trust": str(seen / "trust.toml"),
                     "plugin_path": [str(agent.programs.plugins)], "module_path": [str(seen / "modules")], "modules": list(GRANTS),
                     **({"in_process": list(GRANTS)} if self.carrier == "in-process" else {})},
            **self.target.backend,
            "module.io_anomaly": {"interval": "200 ms", "window": 5},
            "module.compliance": {"cpu_limited": "critical", "is_persistent": "warning"}})
        agent.start()

    def inspect(self, module, *settings, code=0):
        done = self.agent.show("inspect", module, self.target.domain, *(word for setting in settings for word in ("--set", setting)))
        self.said += (done.stdout + done.stderr).splitlines()
        assert done.returncode == code, f"inspect {module} {' '.join(settings)} ended with {done.returncode}, not {code}"
        return done.stdout

    # ---- what each must find, and must not: answers it in few words ------------

    def memory_scanner(self):
        found = self.inspect("memory_scanner", f"pattern.planted={PLANTED.encode().hex()}", "hits:=3", code=6)
        assert 'holds the pattern "planted"' in found, "it does not find what is planted"
        absent = secrets.token_bytes(16).replace(b"\0", b"\1").hex()  # no guest can have it, not by chance
        found = self.inspect("memory_scanner", f"pattern.absent={absent}")
        assert "nothing found" in found, "it finds what is not there"
        return f"what is planted, and nothing else; {said(found, 'scanned')} by {said(found, 'by')}"

    def io_anomaly(self):
        wait_for("reads of the guest's disk", lambda: re.search(
            r"^disk \w+ read +[1-9]", self.agent.show("inspect", "io_anomaly", self.target.domain).stdout, re.M), 60)
        return f"its disk is read with {said(self.inspect('io_anomaly'), r'disk x?vda read')}"

    def compliance(self):
        judged = said(self.inspect("compliance", code=6), "cpu_limited")
        assert judged == "fail: cpu_quota is unlimited", "it does not see that the CPU has no limit"
        return judged

    def template(self, module):
        domain = self.agent.domain(self.target.domain)
        found = self.inspect(module, "most_vcpus:=1")
        measured = f"{said(found, 'memory')}, {said(found, 'vCPUs')} vCPUs"
        assert measured == f"{domain['memory'] >> 20} MiB, {domain['vcpus']} vCPUs", "the host tells another size"
        assert ("more than 1" in found) == (domain["vcpus"] > 1), "it does not judge the vCPUs"
        self.inspect(module, "no_such_key=1", code=2)
        return measured

    def new_in_cpp(self):
        return self.template("new_in_cpp")

    def new_in_c(self):
        return self.template("new_in_c")

    def is_the_one(self, module):
        """By the host's own word: this file, by this carrier."""
        info = self.agent.vmsec("module", "show", module)
        assert info["digest"] == self.sha256[module], f"the host loaded another file: {info['digest']}"
        assert info["carrier"] == self.carrier, f"the host runs it {info['carrier']}"

    def result(self, module):
        self.said = []
        try:
            self.is_the_one(module)
            return True, getattr(self, module)()
        except (AssertionError, TimeoutError, CommandFailed) as failure:
            print("\n".join([f"{module}: {failure}", *self.said]), flush=True)
            return False, str(failure)

    def work(self, results):
        print(f"{self.target.hypervisor}: {len(GRANTS)} modules, carrier {self.carrier}", flush=True)
        self.sign()
        self.start()
        try:
            for module in GRANTS:
                passed, found = self.result(module)
                results.add(module=module, sha256=self.sha256[module], hypervisor=self.target.hypervisor, carrier=self.carrier,
                            found=found, passed=passed)
        finally:
            self.agent.stop()


def work(target, carriers, prefix, folder):
    """Prints the table; whether all of it held."""
    results = Results(folder)
    for carrier in carriers:
        Examples(target, carrier, prefix, folder).work(results)
    return results.print()


# ---- hosts with a guest -------------------------------------------------------

def on_sim(options, folder):
    (folder / "domains").mkdir()
    (folder / "domains/one.toml").write_text(SIM_DOMAIN)
    backend = {"backend": {"plugin": "sim", "uri": f"sim:{HOST}"}, "backend.settings": {"domains": str(folder / "domains")}}
    target = Target("sim", NAME, backend, lambda name: Agent(HOST, folder / name, options.prefix))
    return work(target, options.carriers, options.prefix, options.folder)


def on_kvm(options, folder):
    with KvmLab(folder / "lab", options.prefix) as lab:
        disk = folder / "disk.img"
        disk.write_bytes(bytes(16 << 20))
        lab.create_domain(HOST, NAME, 128, f"dirty=4 rate=8 note={PLANTED} disk=1", disk=disk)
        backend = {"backend": {"plugin": "kvm", "uri": lab.side(HOST, "URI")},
                   "backend.settings": {"libvirt_run_dir": lab.side(HOST, "QEMU_PID_DIR")}}
        enter = [*lab.env["TB_ENTER"].split(), HOST[-1]]
        target = Target("kvm", NAME, backend, lambda name: Agent(HOST, folder / name, options.prefix, enter))
        return work(target, options.carriers, options.prefix, options.folder)


def xen_target(lab):
    """A guest on the lab's first host, whose own vmsecd defines it and ends here: there is one on a host."""
    lab.create_domain(HOST, NAME, 9, 96, f"marker={PLANTED} dirty=2 disk=1", disk="/tmp/disk.img")
    lab.agents[HOST].stop()
    return Target("xen", NAME, {"backend": {"plugin": "xen", "uri": "xen:guests"}}, lambda name: XenAgent(lab.hosts[HOST], name))


def on_xen(options, folder):
    with XenLab(folder / "lab", options.prefix, {"measured_boot": {"reference": str(SHARE / "reference.toml")}}, names=[HOST]) as lab:
        write_reference(lab.event_log, folder / "reference.toml")
        lab.start_agents("version = 1\n", folder / "reference.toml")
        return work(xen_target(lab), options.carriers, options.prefix, options.folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hypervisor", choices=("sim", "kvm", "xen"))
    parser.add_argument("prefix")
    parser.add_argument("folder")
    parser.add_argument("--carrier", action="append", dest="carriers", choices=CARRIERS, help="only this one")
    options = parser.parse_args()
    options.carriers = options.carriers or CARRIERS
    folder, good = pathlib.Path(tempfile.mkdtemp(prefix="vmsec-examples-")), False
    try:
        good = {"sim": on_sim, "kvm": on_kvm, "xen": on_xen}[options.hypervisor](options, folder)
    finally:
        if good:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"logs: {folder}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
