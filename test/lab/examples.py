#!/usr/bin/env python3
"""The example modules, built once against the installed package, on a real or simulated hypervisor.

    examples.py sim|kvm PREFIX FOLDER [--in-process]

PREFIX is where the package was installed; FOLDER has MODULE/build/MODULE.so, as test/package/run leaves them. The files are signed here by a
key that the host then trusts, and are not built again: their SHA-256 is printed. By default each runs in its worker.
"""
import argparse
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab.agent import Agent, wait_for  # noqa: E402
from lab.kvm import KvmLab  # noqa: E402

MODULES = ("memory_scanner", "io_anomaly", "compliance")
NAME = "watched-1"
PLANTED, ABSENT = b"planted-by-the-test", bytes(range(1, 17))
SIM_DOMAIN = f"""\
name = "{NAME}"
uuid = "3f8d1c52-7a64-4e0b-9c1d-5e2b7f4a9008"
memory = "64 MiB"
[workload]
pattern = "hot"
marker = "{PLANTED.decode()}"
"""
GRANTS = {"memory_scanner": ["MemoryAccess", "DomainControl"], "io_anomaly": ["IoControl", "DomainControl"],
          "compliance": ["DomainControl", "ResourceControl", "IoControl"]}


class Examples:
    def __init__(self, agent, built, in_process):
        self.agent, self.built, self.in_process = agent, pathlib.Path(built), in_process
        self.place = agent.folder / "modules"
        self.place.mkdir(parents=True, exist_ok=True)

    def tool(self, *arguments):
        subprocess.run([str(self.agent.programs.vmsec), *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)

    def sign(self):
        """Copies, and a signature beside each; the host's trust store names the key."""
        key, self.trust = self.agent.folder / "vendor.key", self.agent.folder / "trust.toml"
        self.tool("module", "key", key)
        roles = ["--role", "module", *(["--role", "in-process"] if self.in_process else [])]
        self.tool("--trust", self.trust, "module", "trust", "add", "vendor", f"{key}.pub", *roles)
        for name in MODULES:
            file = self.place / f"{name}.so"
            shutil.copy(self.built / name / "build" / f"{name}.so", file)
            self.tool("module", "sign", file, "--key", key)
            print(f"  {hashlib.sha256(file.read_bytes()).hexdigest()}  {name}.so", flush=True)

    def start(self, backend):
        policy = self.agent.folder / "policy.toml"
        policy.write_text("version = 1\n" + "".join(
            f'[[grant]]\nmodule = "{module}"\nvm = "watched-*"\ninterfaces = {json.dumps(["vmsec." + i for i in interfaces])}\n'
            for module, interfaces in GRANTS.items()))
        self.agent.configure({
            "host": {"name": self.agent.name, "state": str(self.agent.state), "run": str(self.agent.folder / "run"),
                     "control": str(self.agent.socket), "policy": str(policy), "trust": str(self.trust),
                     "plugin_path": [str(self.agent.programs.plugins)], "module_path": [str(self.place)], "modules": list(MODULES),
                     **({"in_process": list(MODULES)} if self.in_process else {})},
            **backend,
            "module.io_anomaly": {"interval": "200 ms", "window": 5},
            "module.compliance": {"cpu_limited": "critical", "is_persistent": "warning"}})
        self.agent.start()

    def inspect(self, module, *settings, code=0):
        done = self.agent.show("inspect", module, NAME, *(word for setting in settings for word in ("--set", setting)))
        for line in (done.stdout + done.stderr).splitlines():
            print(f"  {module:15}| {line}", flush=True)
        assert done.returncode == code, f"inspect {module} {' '.join(settings)} ended with {done.returncode}, not {code}"
        return done.stdout

    def work(self):
        found = self.inspect("memory_scanner", f"pattern.planted={PLANTED.hex()}", "hits:=3", code=6)
        assert 'holds the pattern "planted"' in found, "the scanner does not find what is planted"
        assert "nothing found" in self.inspect("memory_scanner", f"pattern.absent={ABSENT.hex()}"), "it finds what is not there"
        judged = self.inspect("compliance", code=6)
        assert "cpu_limited    fail: cpu_quota is unlimited" in judged, "compliance does not see that the CPU has no limit"
        wait_for("what is usual", lambda: self.agent.show("inspect", "io_anomaly", NAME).returncode == 0, 60)
        assert "samples" in self.inspect("io_anomaly"), "io_anomaly has no samples"


def run(options, folder):
    if options.backend == "sim":
        agent = Agent("host-a", folder / "host-a", options.prefix)
        (agent.folder / "domains").mkdir()
        (agent.folder / "domains/one.toml").write_text(SIM_DOMAIN)
        return with_agent(agent, options, {"backend": {"plugin": "sim", "uri": "sim:host-a"},
                                           "backend.settings": {"domains": str(agent.folder / "domains")}})
    with KvmLab(folder / "lab", options.prefix) as lab:
        lab.create_domain("host-a", NAME, 128, f"dirty=4 rate=8 note={PLANTED.decode()}")
        agent = Agent("host-a", folder / "host-a", options.prefix, [*lab.env["TB_ENTER"].split(), "a"])
        return with_agent(agent, options, {"backend": {"plugin": "kvm", "uri": lab.side("host-a", "URI")},
                                           "backend.settings": {"libvirt_run_dir": lab.side("host-a", "QEMU_PID_DIR")}})


def with_agent(agent, options, backend):
    examples = Examples(agent, options.folder, options.in_process)
    examples.sign()
    try:
        examples.start(backend)
        examples.work()
    finally:
        agent.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backend", choices=("sim", "kvm"))
    parser.add_argument("prefix")
    parser.add_argument("folder")
    parser.add_argument("--in-process", action="store_true", help="not in workers: by a key that has the role")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vmsec-examples-"))
    try:
        run(options, folder)
    except (AssertionError, TimeoutError, RuntimeError) as failure:
        sys.exit(f"examples on {options.backend}: FAILED: {failure}; logs: {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    carrier = "in the host's process" if options.in_process else "by the default carrier"
    print(f"examples on {options.backend}, {carrier}: what is planted is found, what is absent is not, and rules are judged")


if __name__ == "__main__":
    main()
