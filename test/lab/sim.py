"""A lab of two simulated hosts: two vmsecd processes on one machine, without root."""
import pathlib
import socket
import subprocess

from .agent import ROOT, Agent, wait_for
from .pki import Pki

HOSTS = ("host-a", "host-b")
TPM = ROOT / "test/testbed/tpm"
EVENT_LOG = ROOT / "test/data/eventlogs/ovmf-q35.bin"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class SimLab:
    """Two simulated hosts with a TPM and vmsecd each. Use as a context: it cleans up."""

    backend = "sim"

    def __init__(self, folder, build, modules=None):
        self.folder = pathlib.Path(folder)
        self.build = pathlib.Path(build).resolve()
        self.modules = modules or {}
        self.peer_addresses = {}  # by host: where the other finds it, if not at its own port
        self.agents = {}
        self.ports = {host: free_port() for host in HOSTS}
        self.pki = Pki(self.folder / "pki", build)

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.pki.create(HOSTS)
            self.make_machines()
        except BaseException:  # an interruption too: what is half up goes down
            self.__exit__()
            raise
        return self

    def make_machines(self):
        """Of each host the folders and the TPM."""
        for host in HOSTS:
            (self.folder / host / "domains").mkdir(parents=True, exist_ok=True)
            (self.folder / "disks").mkdir(exist_ok=True)
            self.run([TPM / "swtpm.sh", "make", self.folder / host / "tpm", self.folder / "tpm-ca"])
            self.boot(host, EVENT_LOG)

    def __exit__(self, *failure):
        for agent in self.agents.values():
            agent.stop()
        for host in HOSTS:
            subprocess.run([str(TPM / "swtpm.sh"), "stop", str(self.folder / host / "tpm")], capture_output=True)

    @staticmethod
    def run(command):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def event_log(self, host):
        return self.folder / host / "eventlog.bin"

    def boot(self, host, log):
        """Starts the host's TPM afresh and fills it from an event log, as a boot would."""
        tpm = self.folder / host / "tpm"
        self.run([TPM / "swtpm.sh", "stop", tpm])
        self.run([TPM / "swtpm.sh", "start", tpm])
        self.run([TPM / "replay", "extend", tpm / "sock", log])
        content = pathlib.Path(log).read_bytes()
        self.event_log(host).write_bytes(content)

    def define(self, host, name, text):
        (self.folder / host / "domains" / f"{name}.toml").write_text(text)

    def configure(self, host, policy, identity=None, name=None, state=None):
        """Writes the configuration of vmsecd on that host; with another identity, name or state than its own for an impostor."""
        agent = self.agents.setdefault(host, Agent(host, self.folder / host, self.build))
        other = next(peer for peer in HOSTS if peer != host)
        agent.configure({
            "host": {"name": name or host, "listen": f"127.0.0.1:{self.ports[host]}", "state": str(state or agent.state),
                     "run": str(self.folder / host / "run"), "control": str(agent.socket), "policy": str(policy),
                     "plugin_path": [str(agent.programs.plugins)],
                     "module_path": [str(agent.programs.modules)],
                     "modules": ["isolation", "throttle", "migration", "measured_boot"], "in_process": ["measured_boot"],
                     "trust": str(agent.programs.trust)},
            "identity": identity or self.pki.identity(host),
            "backend": {"plugin": "sim", "uri": f"sim:{host}"},
            "backend.settings": {"domains": str(self.folder / host / "domains"), "disks": str(self.folder / "disks")},
            "tpm": {"tcti": f"swtpm:path={self.folder}/{host}/tpm/sock", "event_log": str(self.event_log(host))},
            **{f"module.{name}": table for name, table in self.modules.items()},
            "peer": [{"name": other, "address": self.peer_addresses.get(other, f"127.0.0.1:{self.ports[other]}")}]})
        return agent

    def start_agents(self, policy):
        for host in HOSTS:
            self.configure(host, policy).start()

    def cpu_time(self, host, name):
        domain = self.agents[host].domain(name)
        return domain["cpu_time"] if domain else 0

    def runs_on(self, host, name):
        """Does the domain's CPU time go on here?"""
        domain = self.agents[host].domain(name)
        if domain is None or domain["state"] != "running":
            return False
        before = domain["cpu_time"]
        try:
            wait_for("CPU time", lambda: self.cpu_time(host, name) > before, 5)
            return True
        except TimeoutError:
            return False
