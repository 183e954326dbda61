#!/usr/bin/env python3
"""Who may include whom (docs/architecture.md): fails on a forbidden include.

Each rule: the files of a room, and the only includes in quotes or angle brackets
that they may hold beside the standard library and the system's C headers.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)

# Libraries by the first part of their include path.
HYPERVISOR = ("libvirt/", "libxl", "xenctrl", "xenforeignmemory", "xenguest", "xenstore", "xen/")
LIBRARIES = {
    "openssl": ("openssl/",), "toml": ("toml++/",), "spdlog": ("spdlog/", "fmt/"), "protozero": ("protozero/",),
    "tss2": ("tss2/",), "libvirt": ("libvirt/",), "xml": ("libxml/",), "cli": ("CLI/",), "json": ("nlohmann/",),
    "catch": ("catch2/",), "protobuf": ("google/protobuf/",), "benchmark": ("benchmark/",),
    "seccomp": ("seccomp.h",), "http": ("microhttpd.h",),
}
ALL = tuple(prefix for prefixes in LIBRARIES.values() for prefix in prefixes) + HYPERVISOR


def libraries(*names):
    return tuple(prefix for name in names for prefix in LIBRARIES[name])


# room: (allowed libraries, allowed project includes by prefix; an own header is always allowed)
RULES = [
    ("libvmsec/include/vmsec/", libraries("protozero"), ("vmsec/",)),
    ("libvmsec/src/audit/", libraries("openssl"), ("vmsec/", "audit/", "identity/")),
    ("libvmsec/src/identity/", libraries("openssl"), ("vmsec/", "identity/")),
    ("libvmsec/src/channel/", libraries("openssl"), ("vmsec/", "channel/", "identity/")),
    ("libvmsec/src/policy/", libraries("toml"), ("vmsec/", "policy/")),
    ("libvmsec/src/trust/", libraries("openssl"), ("vmsec/", "trust/", "identity/")),
    ("libvmsec/src/loader/", libraries("openssl"), ("vmsec/", "loader/")),
    ("libvmsec/src/rpc/", (), ("vmsec/", "rpc/")),
    ("libvmsec/src/worker/", (), ("vmsec/", "worker/", "loader/", "rpc/")),
    ("libvmsec/src/host/", libraries("spdlog"),
     ("vmsec/", "host/", "loader/", "worker/", "rpc/", "channel/", "identity/", "policy/")),
    ("modules/isolation/", (), ("vmsec/", "isolation/")),
    ("modules/throttle/", (), ("vmsec/", "throttle/")),
    ("modules/migration/", libraries("openssl"), ("vmsec/", "migration/")),
    ("evidence/", libraries("openssl"), ("vmsec/", "evidence/")),
    ("tpm/", libraries("tss2"), ("vmsec/", "tpm/", "evidence/")),
    ("modules/measured_boot/", libraries("openssl"), ("vmsec/", "measured_boot/", "evidence/", "tpm/")),
    ("plugins/sim/", libraries("toml"), ("vmsec/", "sim/")),
    ("plugins/common/", libraries("json"), ("vmsec/",)),
    ("plugins/kvm/", libraries("libvirt", "xml"), ("vmsec/", "kvm/")),
    ("plugins/xen/", HYPERVISOR[1:] + ("xentoollog",) + libraries("json"), ("vmsec/", "xen/")),
    ("tools/vmsec-measure/", (), ("vmsec/", "evidence/", "tpm/")),
    ("tools/vmsec-worker/", libraries("seccomp"), ("vmsec/", "worker/")),
    ("tools/vmsecd/", libraries("cli", "http"), ("vmsec/", "common/")),
    ("tools/vmsec-guest/", (), ("vmsec/", "evidence/", "tpm/")),
    ("tools/", libraries("cli", "json", "openssl"), ("vmsec/", "commands/", "common/", "evidence/")),
    ("bench/link/", (), ()),
    ("examples/", libraries("cli", "json"), ("vmsec/",)),
]


def allowed(path, include, rule):
    _, libs, rooms = rule
    if include.startswith(ALL):
        return include.startswith(libs)
    if "/" not in include or include.startswith(("sys/", "net/", "netinet/", "arpa/", "linux/", "asm/", "bits/")):
        return True  # the standard library, the system, or a header of the same folder
    if include.startswith(rooms):
        return True
    return (path.parent / include).exists()


def main():
    names = subprocess.run(["git", "ls-files", "*.cpp", "*.hpp", "*.h", "*.c"], cwd=ROOT, check=True,
                           capture_output=True, text=True).stdout.split()
    bad = []
    for name in names:
        rule = next((rule for rule in RULES if name.startswith(rule[0])), None)
        if rule is None:
            continue
        for include in INCLUDE.findall((ROOT / name).read_text()):
            if not allowed(ROOT / name, include, rule):
                bad.append(f"{name}: may not include {include}")
    print("\n".join(bad) or f"layering: {len(names)} files, no forbidden include")
    return 1 if bad else 0


sys.exit(main())
