"""Where and with what a run was made."""
import os
import pathlib
import platform
import re
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=ROOT)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return "not there"
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines and done.returncode == 0 else "not known"


def processor():
    match = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return match[1] if match else platform.machine()


def flags():
    """Those that decide how fast ciphers are."""
    match = re.search(r"^flags\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    known = {"aes", "pclmulqdq", "avx2", "avx512f", "vaes", "vpclmulqdq", "hypervisor"}
    return sorted(known & set(match[1].split())) if match else []


def memory_bytes():
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def build_type(build):
    cache = pathlib.Path(build) / "CMakeCache.txt"
    match = re.search(r"^CMAKE_BUILD_TYPE:\w+=(.*)$", cache.read_text(), re.M) if cache.exists() else None
    return match[1] if match else "not known"


def commit():
    return first_line("git", "describe", "--always", "--dirty", "--abbrev=12")


def congestion_control():
    """Linux's own default for TCP, or its plainest: what a machine sets for itself, such as BBR with its timers, would be measured else.
    A network namespace may only use what the machine allows to every user; reno is always among that."""
    allowed = pathlib.Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control").read_text().split()
    return "cubic" if "cubic" in allowed else "reno"


def facts(build):
    return {"date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "commit": commit(), "build_type": build_type(build),
            "cpu": processor(), "cpu_flags": flags(), "cpus": os.cpu_count(), "memory_bytes": memory_bytes(),
            "kernel": platform.release(), "tcp_congestion_control": congestion_control(), "load_before": os.getloadavg()[0], "qemu": first_line("qemu-system-x86_64", "--version"),
            "libvirt": first_line("libvirtd", "--version"), "openssl": first_line("openssl", "version"),
            "socat": first_line("sh", "-c", "socat -V | sed -n 2p"), "python": platform.python_version()}
