"""A lab of two Xen hosts in emulation (test/testbed/xen), joined by a link of their own that is recorded."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import types

from .agent import ROOT, CommandFailed, configuration, wait_for
from .pki import Pki

PATIENCE = 600  # seconds: in emulation, on a busy machine; only what hangs takes them
XEN = ROOT / "test/testbed/xen"
REPLAY = ROOT / "test/testbed/tpm/replay"
HOSTS = ("host-a", "host-b")
PORT = 7443
SHARE = pathlib.Path("/mnt/host")  # in dom0
STATE = pathlib.Path("/tmp/vmsec")
PROGRAMS = "/opt/vmsec"
VMSEC = f"LD_LIBRARY_PATH={PROGRAMS}/lib {PROGRAMS}/bin/vmsec"
GUEST = """\
version = 1
name = "{name}"
uuid = "{uuid}"
guest = "{kind}"
vcpus = 1
memory = "{memory} MiB"
[boot]
kernel = "/tmp/vmlinux"
initrd = "/tmp/guest.cpio.gz"
command_line = "console=hvc0 mitigations=off loglevel=7 {command_line}"
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class XenHost:
    """One Xen host. Commands run in its dom0."""

    def __init__(self, name, folder, address, seconds):
        self.name = name
        self.folder = pathlib.Path(folder)
        self.share = self.folder / "share"
        self.address = address
        self.seconds = seconds
        self.process = None
        self.count = 0

    def boot(self, images, bundle, *options):
        (self.share / "commands").mkdir(parents=True)
        shutil.copy(XEN / "serve_dom0", self.share / "run.sh")
        for file in ("vmlinux", "guest.cpio.gz"):
            shutil.copy(images / file, self.share)
        # Its CPUs: dom0's, and the guests'.
        environment = {**os.environ, "XEN_CPUS": "2", "XEN_MEMORY": "1408", "XEN_ARCHIVE": str(bundle),
                       "XEN_LIMIT": str(self.seconds)}
        log = open(self.folder / "qemu.log", "wb")
        self.process = subprocess.Popen([str(XEN / "boot.sh"), str(images), str(self.share), *options], env=environment,
                                        stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        log.close()

    def begin(self, script):
        """Starts a script in dom0; answers a number for done() and result()."""
        self.count += 1
        file = self.share / "commands" / f"{self.count}.tmp"
        file.write_text(script + "\n")
        file.rename(file.with_suffix(".sh"))
        return self.count

    def done(self, number):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended: {(self.folder / 'qemu.log').read_text(errors='replace')}")
        return (self.share / "commands" / f"{number}.rc").exists()

    def result(self, number, seconds=PATIENCE):
        """Exit code and output."""
        wait_for(f"a command on {self.name}", lambda: self.done(number), seconds)
        output = (self.share / "commands" / f"{number}.out").read_text(errors="replace")
        return int((self.share / "commands" / f"{number}.rc").read_text()), output

    def sh(self, script, seconds=PATIENCE):
        """Runs a script in dom0; answers what it printed."""
        code, output = self.result(self.begin(script), seconds)
        if code != 0:
            raise RuntimeError(f"{self.name}: {script!r}: exit {code}: {output.strip()}")
        return output

    def stop(self):
        if self.process is None:
            return
        (self.share / "end").touch()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class XenAgent:
    """vmsecd in a dom0, and the vmsec command line against it; the face of agent.Agent. `within` is a folder of its own."""

    programs = types.SimpleNamespace(plugins=f"{PROGRAMS}/lib/vmsec/plugins", modules=f"{PROGRAMS}/lib/vmsec/modules",
                                     trust=f"{PROGRAMS}/trust.toml")

    def __init__(self, host, within=""):
        self.host = host
        self.name = host.name
        self.folder, self.seen = host.share / within, SHARE / within
        self.here = STATE / within  # what a share cannot hold
        self.socket, self.state, self.run = self.here / "vmsecd.sock", self.here / "state", self.here / "run"
        self.folder.mkdir(parents=True, exist_ok=True)

    def configure(self, tables):
        (self.folder / "vmsecd.toml").write_text(configuration(tables))

    def start(self):
        self.host.sh(f"mkdir -p {self.here} && (LD_LIBRARY_PATH={PROGRAMS}/lib setsid bash -c 'echo $$ >{self.here}/pid; "
                     f"exec {PROGRAMS}/bin/vmsecd --config {self.seen}/vmsecd.toml' >>{self.seen}/vmsecd.log 2>&1 </dev/null &)\n"
                     f"n=0; until {VMSEC} --agent {self.socket} host info >/dev/null 2>&1 || [ $n = 150 ]; do usleep 200000; "
                     "n=$((n + 1)); done; "
                     f"{VMSEC} --agent {self.socket} host info || {{ tail -5 {self.seen}/vmsecd.log; exit 1; }}")

    def kill(self, signal_name="KILL"):
        """kill -9, as a crash; an error where there is nothing to kill."""
        self.host.sh(f"set -e; pid=$(cat {self.here}/pid); kill -{signal_name} $pid; while [ -e /proc/$pid ]; do usleep 50000; done")

    def stop(self):
        self.kill("TERM")

    def log_tail(self, lines=15):
        file = self.folder / "vmsecd.log"
        return "\n".join(file.read_text(errors="replace").splitlines()[-lines:]) if file.exists() else ""

    def begin(self, *arguments):
        return self.host.begin(f"{VMSEC} --agent {self.socket} " + " ".join(f"'{word}'" for word in map(str, arguments)))

    def show(self, *arguments, timeout=2 * PATIENCE):
        code, output = self.host.result(self.begin(*arguments), timeout)
        return subprocess.CompletedProcess(arguments, code, output, "")

    def vmsec(self, *arguments, timeout=2 * PATIENCE):
        done = self.show("--json", *arguments, timeout=timeout)
        if done.returncode not in (0, 5):
            raise CommandFailed(list(map(str, arguments)), done.returncode, done.stdout)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def domain(self, name):
        return next((d for d in self.vmsec("vm", "list")["domains"] if d["name"] == name), None)


class XenLab:
    """Xen hosts with a software TPM and vmsecd each, from a build or an installed package. Use as a context: it cleans up."""

    def __init__(self, folder, build, modules=None, seconds=600, names=HOSTS):
        self.folder = pathlib.Path(folder)
        self.build = pathlib.Path(build).resolve()
        self.modules = modules or {}
        self.capture = self.folder / "link.pcap"
        self.event_log = ROOT / "test/data/eventlogs/ovmf-q35.bin"
        self.hosts = {name: XenHost(name, self.folder / name, f"10.77.0.{i + 1}", seconds) for i, name in enumerate(names)}
        self.agents = {}
        # As the agents see it.
        self.pki = Pki(SHARE / "pki", build)

    def __enter__(self):
        try:
            self.boot()
        except BaseException:  # an interruption too: what is half up goes down
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure):
        for host in self.hosts.values():
            host.stop()

    def boot(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        images, bundle = self.folder / "images", self.folder / "bundle.cpio"
        subprocess.run([str(XEN / "images.sh"), str(images)], check=True)
        subprocess.run([str(XEN / "bundle.sh"), str(self.build), str(bundle)], check=True)
        made = Pki(self.folder / "pki", self.build)
        made.create(self.hosts)
        specs = subprocess.run([str(REPLAY), "specs", str(self.event_log)], check=True, capture_output=True).stdout
        port = free_port()
        for i, host in enumerate(self.hosts.values()):
            shutil.copytree(made.folder, host.share / "pki")
            shutil.copy(self.event_log, host.share / "eventlog.bin")
            (host.share / "specs").write_bytes(specs)
            end = f"listen=127.0.0.1:{port}" if i == 0 else f"connect=127.0.0.1:{port}"
            record = ["-object", f"filter-dump,id=record,netdev=link,file={self.capture}"] if i == 0 else []
            host.boot(images, bundle, "-netdev", f"socket,id=link,{end}", "-device",
                      f"virtio-net-pci,netdev=link,mac=52:54:00:77:00:0{i + 1},romfile=", *record)
            if i == 0:
                wait_for("the link", lambda: self.listens(port), 30)
        for host in self.hosts.values():
            self.bring_up(host)

    @staticmethod
    def listens(port):
        text = pathlib.Path("/proc/net/tcp").read_text()
        return f"0100007F:{port:04X} 00000000:0000 0A" in text

    @staticmethod
    def bring_up(host):
        """The link; the guests' own pool of CPUs; a software TPM, given the measurements of a boot made elsewhere."""
        host.sh(f"set -e\nip addr add {host.address}/24 dev eth0\nip link set eth0 up\n"
                f"cp {SHARE}/vmlinux {SHARE}/guest.cpio.gz /tmp/\n"
                "xl cpupool-cpu-remove Pool-0 1 && xl cpupool-create name=\\\"guests\\\" sched=\\\"credit2\\\" >/dev/null && "
                "xl cpupool-cpu-add guests 1 || exit 1\n"
                "mkdir -p /tmp/tpm\n"
                "(setsid swtpm socket --tpm2 --tpmstate dir=/tmp/tpm --ctrl type=tcp,port=2322 --server type=tcp,port=2321 "
                "--flags not-need-init,startup-clear >/tmp/tpm/log 2>&1 </dev/null &)\n"
                "n=0; until LD_LIBRARY_PATH=/opt/vmsec/lib TPM2TOOLS_TCTI=swtpm:host=127.0.0.1,port=2321 "
                f"tpm2_pcrextend $(cat {SHARE}/specs); do n=$((n + 1)); [ $n -lt 20 ] || exit 1; usleep 300000; done", 240)

    def start_agents(self, policy_text, reference):
        for name, host in self.hosts.items():
            (host.share / "policy.toml").write_text(policy_text)
            shutil.copy(reference, host.share / "reference.toml")
            agent = XenAgent(host)
            others = [peer for peer in self.hosts if peer != name]
            agent.configure({
                "host": {"name": name, "listen": f"{host.address}:{PORT}", "state": str(agent.state),
                         "run": str(agent.run), "control": str(agent.socket), "policy": str(SHARE / "policy.toml"),
                         "plugin_path": [agent.programs.plugins], "module_path": [agent.programs.modules],
                         "modules": ["isolation", "throttle", "migration", "measured_boot"], "in_process": ["measured_boot"],
                         "trust": agent.programs.trust},
                "identity": self.pki.identity(name),
                "backend": {"plugin": "xen", "uri": "xen:guests"},
                "backend.settings": {"incoming.disk_roots": "/tmp", "incoming.kernel_roots": "/tmp",
                                     "incoming.bridges": "br0"},
                "tpm": {"tcti": "swtpm:host=127.0.0.1,port=2321", "event_log": str(SHARE / "eventlog.bin")},
                **{f"module.{module}": table for module, table in self.modules.items()},
                "peer": [{"name": other, "address": f"{self.hosts[other].address}:{PORT}"} for other in others]})
            self.agents[name] = agent
            agent.start()

    def create_domain(self, host, name, number, memory, command_line, kind="pvh", disk=None):
        """By its definition, as an operator makes it; starts it, and waits for its tick. `disk` is a file that is made in dom0."""
        text = GUEST.format(name=name, uuid=f"11111111-2222-4333-8444-{number:012d}", kind=kind, memory=memory,
                            command_line=command_line)
        if disk:
            self.hosts[host].sh(f"dd if=/dev/urandom of={disk} bs=1M count=16 2>/dev/null")
            text += f'[[disk]]\ntarget = "vda"\nsource = "{disk}"\n'
        (self.hosts[host].share / f"{name}.toml").write_text(text)
        self.agents[host].vmsec("vm", "define", SHARE / f"{name}.toml")
        self.agents[host].vmsec("vm", "start", name)
        wait_for(f"guest {name}", lambda: self.last_tick(host, name) > 5, PATIENCE, 0.5)

    def console(self, host, name):
        """All consoles that a domain of this name had on the host."""
        return self.hosts[host].sh(f"cat /var/log/xen/guest-{name}.log /var/log/xen/guest-{name}--incoming.log 2>/dev/null || true")

    def last_tick(self, host, name):
        ticks = [int(tick) for tick in re.findall(r"^tick (\d+)", self.console(host, name), re.M)]
        return max(ticks, default=0)

    def ticks_on(self, host, name):
        return {int(tick) for tick in re.findall(r"^tick (\d+)", self.console(host, name), re.M)}
