"""Each way's own part of a migration on libvirt: what runs beside, and the command."""
import pathlib
import subprocess

from lab.agent import wait_for
from lab.kvm import HOSTS, PORT

from . import migration

A, B = HOSTS
BUFFER = "1048576"  # socat's: its default of 8 KiB is slower
TIMEOUT = 600
GUEST = "bench"
# By what is reached at the destination: its port there. With a link, vmsec-link listens on the same one of the source's loopback.
PORTS = {"vmsec": PORT, "qemu": 49200, "libvirt": 16514, "socat": 17777}


def carrier(bench, way):
    return {"vmsec": Vmsec, "qemu": Qemu, "tunnelled": Tunnelled, "socat": Socat}[way.kind](bench, way)


class Carrier:
    """A context around one migration; it is entered before the clock starts."""

    def __init__(self, bench, way):
        self.bench, self.lab, self.way = bench, bench.lab, way

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        pass

    def virsh_migrate(self, *arguments, destination=None):
        enter = [*self.lab.env["TB_ENTER"].split(), "a"]
        command = [*enter, "virsh", "-q", "-c", self.lab.side(A, "URI"), "migrate", "--live", "--p2p", "--persistent", "--undefinesource",
                   GUEST, "--desturi", destination or self.lab.side(B, "PEER_URI"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
        if done.returncode != 0:
            raise migration.MigrationFailed(f"virsh migrate: {done.stderr.strip()}")


class Vmsec(Carrier):
    def __enter__(self):
        self.ticket = self.bench.ticket()  # the control plane's work, done ahead
        return self

    def migrate(self):
        return migration.migrate(self.lab.agents[A], GUEST, B, self.ticket, self.way)


class Qemu(Carrier):
    def migrate(self):
        host, port = self.bench.address("qemu")
        more = ["--tls"] if self.way.tls else []
        if self.way.streams > 1:
            more += ["--parallel", "--parallel-connections", str(self.way.streams)]
        self.virsh_migrate("--migrateuri", f"tcp://{host}:{port}", "--listen-address", self.lab.side(B, "ADDR"), *more)


class Tunnelled(Carrier):
    """libvirt carries QEMU's bytes in its own connection to the other libvirtd, which is TLS."""

    def __enter__(self):
        self.keys = self.bench.folder / "libvirt-client"
        self.keys.mkdir(exist_ok=True)
        pki = pathlib.Path(self.lab.side(A, "QEMU_PKI"))
        for name, file in (("cacert", "ca-cert"), ("clientcert", "client-cert"), ("clientkey", "client-key")):
            link = self.keys / f"{name}.pem"
            if not link.is_symlink():
                link.symlink_to(pki / f"{file}.pem")
        return self

    def migrate(self):
        host, port = self.bench.address("libvirt")
        self.virsh_migrate("--tunnelled", destination=f"qemu+tls://{host}:{port}/system?pkipath={self.keys}")


class Socat(Carrier):
    """QEMU in plaintext to a relay on its own host, which carries the bytes over OpenSSL to one on the other: KubeVirt's shape."""

    def __enter__(self):
        self.sockets = {host: pathlib.Path(self.lab.side(host, "LIB_DIR")) / f"mig/{GUEST}.sock" for host in HOSTS}
        self._remove_sockets()
        address, port = self.bench.address("socat")
        self.processes = [
            self._socat("b", B, f"OPENSSL-LISTEN:{PORTS['socat']},bind={self.lab.side(B, 'ADDR')},fork,reuseaddr", "verify=1",
                        then=f"UNIX-CONNECT:{self.sockets[B]}"),
            self._socat("a", A, f"OPENSSL:{address}:{port}", "verify=1,commonname=vmsec-b", first=f"UNIX-LISTEN:{self.sockets[A]},fork")]
        wait_for("socat on the source", self.sockets[A].exists, 10)
        wait_for("socat on the destination", lambda: self._listens("b", PORTS["socat"]), 10)
        return self

    def _socat(self, side, host, tls, options, first=None, then=None):
        pki = self.lab.side(host, "QEMU_PKI")
        tls += f",{options},cert={pki}/server-cert.pem,key={pki}/server-key.pem,cafile={pki}/ca-cert.pem"
        ends = [first, tls] if first else [tls, then]
        return subprocess.Popen([*self.lab.env["TB_ENTER"].split(), side, "socat", "-b", BUFFER, *ends], stderr=subprocess.DEVNULL)

    def _listens(self, side, port):
        holder = (self.bench.folder / f"tb/{side}/holder.pid").read_text().strip()
        table = pathlib.Path(f"/proc/{holder}/net/tcp").read_text().splitlines()[1:]
        return any(row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "0A" for row in table)

    def _remove_sockets(self):
        for socket in self.sockets.values():
            socket.unlink(missing_ok=True)

    def __exit__(self, *failure):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(10)
        self._remove_sockets()

    def migrate(self):
        self.virsh_migrate("--migrateuri", f"unix:///var/lib/libvirt/mig/{GUEST}.sock")
