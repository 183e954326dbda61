"""The lab's certificate authority and placement key, made with `vmsec pki` as an operator would."""
import json
import pathlib
import subprocess


class Pki:
    def __init__(self, folder, build):
        self.folder = pathlib.Path(folder)
        self.vmsec = str(pathlib.Path(build).resolve() / "bin/vmsec")
        self.placement = self.folder / "placement.key"

    def run(self, *arguments):
        done = subprocess.run([self.vmsec, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"vmsec {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout

    def create(self, hosts):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run("pki", "init", self.folder / "ca", "--name", "lab")
        for host in hosts:
            self.issue(host)
        self.publish()
        self.run("pki", "placement-key", self.placement)

    def issue(self, host, out=None):
        """A key and a certificate in a folder of ours; answers the serial number."""
        out = self.folder / (out or host)
        out.mkdir(exist_ok=True)
        return json.loads(self.run("--json", "pki", "issue", self.folder / "ca", host, "--out", out))["serial"]

    def publish(self):
        self.run("pki", "crl", self.folder / "ca", "--days", "7")

    def revoke(self, name):
        """A host, or one certificate by its serial number."""
        self.run("pki", "revoke", self.folder / "ca", name)
        self.publish()

    def certificate(self, host):
        return self.folder / host / f"{host}.crt"

    def identity(self, host, folder=None):
        """The [identity] table of a host's configuration; its files may lie in another folder."""
        folder = folder or self.folder / host
        return {"ca": str(self.folder / "ca/ca.crt"), "certificate": str(folder / f"{host}.crt"),
                "key": str(folder / f"{host}.key"), "revocations": str(self.folder / "ca/ca.crl"),
                "placement_keys": [str(self.placement) + ".pub"]}

    def ticket(self, agent, domain, source, destination, file, *more, key=None):
        """A ticket for one migration, from the source agent's description of the domain."""
        done = agent.show("ticket", "create", "--key", key or self.placement, "--domain", domain, "--to", destination,
                          "--source-cert", self.certificate(source), "--destination-cert", self.certificate(destination),
                          "--out", file, *more)
        if done.returncode != 0:
            raise RuntimeError(f"vmsec ticket create: {done.stderr.strip()}")
        return file
