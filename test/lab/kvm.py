"""A lab of two libvirt hosts in network namespaces (test/testbed/kvm)."""
import os
import pathlib
import re
import subprocess

from .agent import ROOT, Agent, wait_for
from .pki import Pki

TESTBED = ROOT / "test/testbed"
HOSTS = ("host-a", "host-b")
PORT = 7443


class KvmLab:
    """Two hosts with libvirtd, a TPM and vmsecd each. Use as a context: it cleans up."""

    backend = "kvm"

    def __init__(self, folder, build, modules=None):
        self.folder = pathlib.Path(folder)
        self.build = pathlib.Path(build).resolve()
        self.modules = modules or {}
        self.settings = {}  # more of [backend.settings]
        self.peer_addresses = {}  # by host: where the other finds it, if not at its own address
        self.env = {}
        self.agents = {}
        self.pki = Pki(self.folder / "pki", build)

    # ---- up and down -------------------------------------------------------

    def __enter__(self):
        self.testbed("down")
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.testbed("up")
            self.env = self.read_env()
            self.pki.create(HOSTS)
        except BaseException:  # an interruption too: what is half up goes down
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure):
        for agent in self.agents.values():
            agent.stop()
        self.testbed("down")

    def testbed(self, *arguments):
        done = subprocess.run([str(TESTBED / "kvm/hosts.sh"), *arguments, "--dir", str(self.folder / "tb")],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"hosts.sh {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def read_env(self):
        out = subprocess.run(["bash", "-c", f". '{self.folder}/tb/env'; env -0"], capture_output=True, check=True)
        return dict(entry.decode().split("=", 1) for entry in out.stdout.split(b"\0") if entry.startswith(b"TB_"))

    def environment(self):
        """For the testbed's own scripts."""
        return {**os.environ, **self.env, "VMSEC_TESTBED": str(self.folder / "tb")}

    def side(self, host, name):
        return self.env[f"TB_{name}_{host[-1].upper()}"]

    # ---- agents --------------------------------------------------------------

    def start_agents(self, policy):
        """Configures and starts vmsecd on both hosts under one policy file."""
        for host in HOSTS:
            self.start_agent(host, policy)

    def start_agent(self, host, policy):
        enter = [*self.env["TB_ENTER"].split(), host[-1]]
        agent = Agent(host, self.folder / host, self.build, enter)
        other = next(peer for peer in HOSTS if peer != host)
        agent.configure({
            "host": {"name": host, "listen": f"{self.side(host, 'ADDR')}:{PORT}", "state": str(agent.state),
                     "run": str(self.folder / host / "run"), "control": str(agent.socket), "policy": str(policy),
                     "plugin_path": [str(agent.programs.plugins)],
                     "module_path": [str(agent.programs.modules)],
                     "modules": ["isolation", "throttle", "migration", "measured_boot"], "in_process": ["measured_boot"],
                     "trust": str(agent.programs.trust)},
            "identity": self.pki.identity(host),
            "backend": {"plugin": "kvm", "uri": self.side(host, "URI")},
            "backend.settings": {
                "libvirt_run_dir": self.side(host, "QEMU_PID_DIR"),
                "incoming.disk_roots": str(self.folder), "incoming.kernel_roots": str(self.folder),
                "incoming.file_roots": "/var/log/libvirt/qemu", **self.settings},
            "tpm": {"tcti": self.side(host, "TPM_TCTI"), "event_log": self.side(host, "EVENTLOG")},
            **{f"module.{name}": table for name, table in self.modules.items()},
            "peer": [{"name": other, "address": self.peer_addresses.get(other, f"{self.side(other, 'ADDR')}:{PORT}")}]})
        self.agents[host] = agent
        agent.start()

    # ---- guests --------------------------------------------------------------

    def virsh(self, host, *arguments):
        done = subprocess.run(["virsh", "-q", "-c", self.side(host, "URI"), *map(str, arguments)], capture_output=True,
                              text=True)
        if done.returncode != 0:
            raise RuntimeError(f"virsh {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout

    def create_domain(self, host, name, mebibytes, command_line, disk=None, more=()):
        """Defines and starts the bare guest (test/testbed/guest/flat.c); persistent."""
        arguments = [str(TESTBED / "kvm/mkdom.sh"), "--name", name, "--mem", str(mebibytes), "--cmdline", command_line,
                     *more]
        if disk:
            arguments += ["--disk", str(disk)]
        xml = subprocess.run(arguments, capture_output=True, text=True, check=True,
                             env=self.environment()).stdout
        file = self.folder / f"{name}.xml"
        file.write_text(xml)
        for log in HOSTS:
            self.serial(log, name).unlink(missing_ok=True)
        self.virsh(host, "define", file)
        self.virsh(host, "start", name)
        wait_for(f"guest {name}", lambda: self.last_tick(host, name) > 0, 60)

    def remove_domain(self, name):
        for host in HOSTS:
            for arguments in (["destroy", name], ["undefine", name]):
                subprocess.run(["virsh", "-q", "-c", self.side(host, "URI"), *arguments], capture_output=True)

    def serial(self, host, name):
        return pathlib.Path(self.side(host, "SERIAL_DIR")) / f"serial-{name}.log"

    def serial_text(self, host, name):
        file = self.serial(host, name)
        return file.read_text(errors="replace") if file.exists() else ""

    def last_tick(self, host, name):
        ticks = re.findall(r"^tick (\d+)", self.serial_text(host, name), re.M)
        return int(ticks[-1]) if ticks else 0

    def runs_on(self, host, name):
        """Does the guest's counter go on here?"""
        before = self.last_tick(host, name)
        try:
            wait_for("a tick", lambda: self.last_tick(host, name) > before, 3)
            return True
        except TimeoutError:
            return False
