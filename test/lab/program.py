"""What the labs' programs share: their options, a folder of their own, and what is left of it."""
import argparse
import shutil
import signal
import sys
import tempfile


def run(description, prefix, lab, **options):
    """Ends the program: 0 where lab(folder, build, **options) held. The folder stays where it did not, or was asked to.

    `options` are further options of the command line, by their defaults: runs=20 is --runs N."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--keep", action="store_true", help="leave the folder with logs and what was recorded")
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"default: {default}")
    given = vars(parser.parse_args())
    build, keep = given.pop("build"), given.pop("keep")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix=prefix)
    good = False
    try:
        good = lab(folder, build, **given)
    except KeyboardInterrupt:
        print("\ninterrupted: cleaned up")
        sys.exit(130)
    finally:
        if keep or not good:
            print(f"logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if good else 1)
