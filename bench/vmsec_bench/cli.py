"""The command line."""
import argparse
import json
import pathlib
import signal
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test"))

from . import report, ways  # noqa: E402
from .errors import EnvironmentFailure, UsageError  # noqa: E402
from .matrix import Matrix  # noqa: E402
from .run import Run  # noqa: E402

OK, ENVIRONMENT, USAGE, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES = """\
Exit codes: 0 done; 1 the environment (no root, a program is missing, the hosts do not come up); 2 a wrong option, or --out holds
another run; 3 some migrations failed: their cells are empty, and tried again by the same command; 130 interrupted: the same
command goes on from there.
"""
MIGRATE = """\
Moves the same kind of guest by each way in turn, round by round in shuffled order, on two hosts on this machine, and reports what
it cost. Needs root for kvm. Ways: vmsec (by the options below), vmsec-CIPHER, {peers},
qemu-plain-multifd-N, qemu-tls-multifd-N. What a build or hypervisor does not have is reported as not there.
"""
EXAMPLES = """\
Examples:
  bench/vmsec-bench migrate build/release --rounds 7 --memory 1024
  bench/vmsec-bench migrate build/release --rounds 7 --cipher aes-128-gcm,none --streams 1,2 --ways vmsec,qemu-plain,qemu-tls
  bench/vmsec-bench migrate build/release --rounds 5 --memory 512 --dirty-rate 0,50,200 --dirty-set 25
  bench/vmsec-bench migrate build/release --rounds 3 --link none --link rate=1Gbit,delay=10ms --link rate=1Gbit,delay=10ms,loss=0.01%
  bench/vmsec-bench migrate build/dev --hypervisor sim --ways vmsec --cipher aes-128-gcm,none --rounds 3 --memory 128

In --out (build/bench-migrate): state.jsonl (finished cells), results.json, results.csv, report.html. An interrupted run goes on where it
was by the same command; more --rounds are added to those that are there.

"""


def parser():
    main_parser = argparse.ArgumentParser(prog="vmsec-bench", description=__doc__, epilog=EXIT_CODES,
                                          formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    migrate = commands.add_parser("migrate", help="migrations by vmsec beside QEMU, libvirt and socat",
                                  description=MIGRATE.format(peers=", ".join(ways.PEERS)), epilog=EXAMPLES + EXIT_CODES,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    add_migrate(migrate)
    return main_parser


def add_migrate(migrate):
    add = migrate.add_argument
    add("build", help="the build folder; figures are worth quoting from a release build only")
    add("--rounds", type=int, default=3, help="of each block (3); from 5 on, intervals are bootstrapped")
    add("--ways", default=",".join(ways.DEFAULT), help="which to compare (%(default)s)")
    add("--hypervisor", default="kvm", help="kvm, sim (kvm)")
    add("--memory", default="512", help="MiB of the guest: 64 to 3072 (512)")
    add("--dirty-rate", default="0", help="MiB/s that the guest writes; 0: idle (0)")
    add("--dirty-set", default="25", help="per cent of its memory that it writes (25)")
    add("--pattern", default="sequential", help="in which order: sequential, hot, uniform (sequential; kvm has no other)")
    add("--fill", default="100", help="per cent of its memory that holds noise; the rest are zero pages (100)")
    add("--link", action="append", help="none, or rate=,delay=,jitter=,loss= for vmsec-link; may be repeated (none)")
    add("--max-downtime", default="0", help="ms that the hypervisor aims at; 0: its own, QEMU's being 300 (0)")
    add("--cipher", default="aes-128-gcm,none", help="of vmsec's ways: " + ", ".join(ways.CIPHERS) + " (%(default)s)")
    add("--suite", default="bulk", help="bulk, tls (bulk)")
    add("--accelerator", default="evp", help="evp, vaes (evp)")
    add("--streams", default="1", help="that carry memory, 1 to 64 (1)")
    add("--record-size", default="default", help="default, or sizes such as 64KiB")
    add("--seed", type=int, default=1, help="of the order of ways, of the link and of the intervals (1)")
    add("--out", default=str(ROOT / "build/bench-migrate"), help="folder for state and results (build/bench-migrate)")
    add("--fresh", action="store_true", help="begin anew, whatever --out holds")
    add("--json", action="store_true", help="results.json's content on standard output instead of tables")


def interrupted(*_):
    raise KeyboardInterrupt


def migrate(options):
    build = pathlib.Path(options.build).resolve()
    matrix = Matrix.parse(options)
    if not (build / "bin/vmsecd").exists():
        raise UsageError(f"{options.build}: there is no bin/vmsecd: name a build folder")
    run = Run(matrix, build, options.out, options.fresh)
    signal.signal(signal.SIGTERM, interrupted)
    try:
        run.run()
    except KeyboardInterrupt:
        finish(run, options, matrix)
        print("interrupted: the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    finish(run, options, matrix)
    return INCOMPLETE if run.failed else OK


def finish(run, options, matrix):
    results = report.results(run.state, matrix, run.missing, run.failed, link_notes(matrix))
    report.write(results, options.out)
    print(json.dumps(results) if options.json else report.as_text(results))
    print(f"{options.out}: results.json, results.csv, report.html", file=sys.stderr)


def link_notes(matrix):
    notes = []
    for hypervisor in sorted({block.hypervisor for block in matrix.blocks if block.link != "none"}):
        if hypervisor == "kvm":
            notes.append("Links on kvm: all of a migration's bytes go through the link, but the libvirtds' own talk with each other does only "
                         "for vmsec and libvirt-tunnelled; for qemu and socat it is over a Unix socket, without the link's delay.")
        else:
            notes.append("Links on sim: all that the source's agent says to the destination's goes through the link.")
    return notes


def main(arguments=None):
    options = parser().parse_args(arguments)
    try:
        return migrate(options)
    except UsageError as failure:
        print(f"vmsec-bench: {failure}", file=sys.stderr)
        return USAGE
    except EnvironmentFailure as failure:
        print(f"vmsec-bench: {failure}", file=sys.stderr)
        return ENVIRONMENT
