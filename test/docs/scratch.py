"""Two simulated hosts that are set up as the documents say, with the documents' own files."""
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab.agent import Agent  # noqa: E402
from lab.reference import write_reference  # noqa: E402
from lab.sim import EVENT_LOG, HOSTS, SimLab  # noqa: E402


class Scratch(SimLab):
    """`work` is where commands are typed; /etc/vmsec, /var/lib/vmsec and /run/vmsec lie in the first host's folder."""

    def __init__(self, folder, prefix, configuration, policy, domain):
        super().__init__(folder, prefix)
        self.prefix = pathlib.Path(prefix)
        self.configuration, self.policy, self.domain = configuration, policy, domain
        self.work = self.folder / "work"

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.work, self.folder / "disks"):
            folder.mkdir()
        self.make_machines()
        for name in ("policy.toml", "web.toml"):
            (self.work / name).write_text(self.policy)
        self.define(HOSTS[0], "web-1", self.domain)
        return self

    def home(self, host):
        return self.folder / host

    def rewritten(self, text, host=HOSTS[0]):
        """Absolute paths, moved into the host's folder."""
        for path, place in (("/etc/vmsec", ""), ("/var/lib/vmsec", "/state"), ("/run/vmsec", "")):
            text = text.replace(path, f"{self.home(host)}{place}")
        return text

    def start_as_told(self):
        """What the documents put between making certificates and typing commands: each host's files, then vmsecd."""
        for host in HOSTS:
            self.lay_files(host)
        for host in HOSTS:
            agent = Agent(host, self.home(host), self.build)
            agent.config.write_text(self.configured(host))
            self.agents[host] = agent
            self.run([agent.programs.vmsecd, "--check", "--config", agent.config])
            agent.start()

    def lay_files(self, host):
        def find(name):
            found = next(self.work.rglob(name), None)
            assert found, f"the commands so far have not made {name}"
            return found

        for name in ("ca.crt", "ca.crl", f"{host}.crt", f"{host}.key", "placement.key.pub"):
            shutil.copy(find(name), self.home(host))
        (self.home(host) / "policy.toml").write_text(self.policy)
        write_reference(EVENT_LOG, self.home(host) / "reference.toml")
        shutil.copy(self.trust(), self.work / "trust.toml")
        shutil.copy(self.work / "trust.toml", self.home(host))

    def trust(self):
        """What the commands so far have made on the first host, or the example's."""
        made = self.home(HOSTS[0]) / "trust.toml"
        return made if made.exists() else self.prefix / "share/vmsec/examples/two_hosts/trust.toml"

    def configured(self, host):
        """docs/configuration.md's example, for this host on the simulated hypervisor."""
        other = next(peer for peer in HOSTS if peer != host)
        text = self.configuration.replace("host-b", "PEER").replace("host-a", host).replace("PEER", other)
        changes = {'"192.0.2.1:7443"': f'"127.0.0.1:{self.ports[host]}"', '"192.0.2.2:7443"': f'"127.0.0.1:{self.ports[other]}"',
                   '"127.0.0.1:9464"': '"127.0.0.1:0"',  # both hosts are here
                   'plugin = "kvm"': 'plugin = "sim"',
                   'uri = "qemu:///system"': f'uri = "sim:{host}"\n[backend.settings]\n'
                   f'domains = "{self.home(host)}/domains"\ndisks = "{self.folder}/disks"',
                   '"device:/dev/tpmrm0"': f'"swtpm:path={self.home(host)}/tpm/sock"',
                   '"/sys/kernel/security/tpm0/binary_bios_measurements"': f'"{self.event_log(host)}"'}
        for there, here in changes.items():
            assert there in text, f"docs/configuration.md's example has no {there}"
            text = text.replace(there, here)
        return self.rewritten(text, host)


def expanded(text):
    """Digests that a document cut short ("90ea48be..."), filled up."""
    return re.sub(r'"([0-9a-f]+)\.\.\."', lambda match: f'"{match[1]:0<64}"', text)
