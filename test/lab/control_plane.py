#!/usr/bin/env python3
"""examples/control_plane at work on two hosts of one hypervisor, all of it from the installed package.

    control_plane.py sim|kvm PREFIX EXAMPLE

PREFIX is where the package was installed, EXAMPLE the built example. It lists VMs, applies a policy, migrates with a ticket that it
issues itself, and listens to both hosts' events meanwhile. A ticket by a key that the hosts do not know must move nothing.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from lab.agent import wait_for  # noqa: E402
from lab.kvm import HOSTS, KvmLab  # noqa: E402
from lab.sim import SimLab  # noqa: E402

A, B = HOSTS
NAME = "shop-1"
SIM_DOMAIN = """\
name = "shop-1"
uuid = "5a3c1b52-0b1e-4c43-9a3e-6f3b6f0d1e77"
memory = "64 MiB"
seed = 9
[workload]
pattern = "hot"
dirty_rate = 500
"""
POLICY = """\
version = 1
[[vm]]
match = "shop-*"
[vm.isolation]
cpu_quota = "60%"
[[grant]]
module = "isolation"
vm = "shop-*"
interfaces = ["vmsec.DomainControl", "vmsec.ResourceControl"]
[[grant]]
module = "migration"
vm = "shop-*"
interfaces = ["vmsec.DomainControl", "vmsec.Migration"]
"""


class ControlPlane:
    """The example, as the control plane of both hosts."""

    def __init__(self, lab, example, folder):
        self.lab, self.example, self.folder = lab, example, pathlib.Path(folder)

    def command(self, host, *arguments):
        agent = self.lab.agents[host]
        return [*agent.enter, self.example, str(agent.socket), *map(str, arguments)]

    def run(self, host, *arguments):
        done = subprocess.run(self.command(host, *arguments), capture_output=True, text=True, timeout=300)
        for line in (done.stdout + done.stderr).splitlines():
            print(f"  {host} {arguments[0]:8}| {line}", flush=True)
        return done

    def good(self, host, *arguments):
        done = self.run(host, *arguments)
        assert done.returncode == 0, f"control_plane {' '.join(map(str, arguments))} ended with {done.returncode}"
        return done.stdout

    def migrate(self, key):
        pki = self.lab.pki
        return self.run(A, "migrate", NAME, B, key, pki.certificate(A), pki.certificate(B))

    def listen(self, host):
        with open(self.folder / f"events-{host}", "wb") as out:
            return subprocess.Popen(self.command(host, "events", 600), stdout=out)

    def events(self, host):
        return re.findall(rf"^event \d+: {NAME} (.+)$", (self.folder / f"events-{host}").read_text(), re.M)

    def kinds(self, host):
        return {event.split(":")[0] for event in self.events(host)}


def states(text):
    return {match[1]: match[2] for match in re.finditer(r"^\S+  (\S+) +(running|stopped) ", text, re.M)}


def work(plane, policy):
    lab = plane.lab
    assert states(plane.good(A, "list")) == {NAME: "running"}, "list does not show the VM running"
    assert f"{NAME}: cpu_quota: " in plane.good(A, "apply", policy), "apply does not say what it changed"
    assert plane.good(A, "apply", policy) == "", "applying twice changed something"

    stranger = plane.folder / "stranger.key"
    lab.pki.run("pki", "placement-key", stranger)
    refused = plane.migrate(stranger)
    assert refused.returncode == 1 and "placement key" in refused.stderr, "an unknown key's ticket was not refused"
    assert lab.runs_on(A, NAME), "after a refusal the VM does not run on at its source"

    moved = plane.migrate(lab.pki.placement)
    assert moved.returncode == 0 and f"{NAME} runs on {B}; AES-" in moved.stdout, "it did not move, encrypted"
    assert states(plane.good(A, "list")) == {} and states(plane.good(B, "list")) == {NAME: "running"}, "it is not at one host"
    wait_for(f"the VM on {B}", lambda: lab.runs_on(B, NAME), 30)
    wait_for(f"{A}'s events", lambda: {"stopped"} & plane.kinds(A), 30)
    wait_for(f"{B}'s events", lambda: {"resumed"} & plane.kinds(B), 30)


def run(backend, prefix, example, folder):
    lab = (SimLab if backend == "sim" else KvmLab)(folder, prefix, {"migration": {"attestation": "none"}})
    with lab:
        policy = lab.folder / "policy.toml"
        policy.write_text(POLICY)
        if backend == "sim":
            lab.define(A, NAME, SIM_DOMAIN)
        lab.start_agents(policy)
        if backend == "kvm":
            lab.create_domain(A, NAME, 128, "dirty=16 rate=8")
        plane = ControlPlane(lab, example, folder)
        listeners = [plane.listen(host) for host in HOSTS]
        try:
            work(plane, policy)
        finally:
            for listener in listeners:
                listener.terminate()
                listener.wait()
        for host in HOSTS:
            print(f"  {host} events  | {', '.join(plane.events(host))}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backend", choices=("sim", "kvm"))
    parser.add_argument("prefix")
    parser.add_argument("example")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="vmsec-plane-")
    good = False
    try:
        run(options.backend, options.prefix, str(pathlib.Path(options.example).resolve()), folder)
        good = True
    except (AssertionError, TimeoutError) as failure:
        print(f"control_plane on {options.backend}: FAILED: {failure}; logs: {folder}", file=sys.stderr)
    finally:
        if good:
            shutil.rmtree(folder, ignore_errors=True)
    if good:
        print(f"control_plane on {options.backend}: lists, applies, migrates and listens, by the installed package alone")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
