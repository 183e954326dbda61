"""What the labs' programs share: their options, a folder of their own, and what is left of it."""
import argparse
import shutil
import signal
import sys
import tempfile


def run(description, prefix, lab):
    """Ends the program: 0 where lab(folder, build) held. The folder stays where it did not, or was asked to."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--keep", action="store_true", help="leave the folder with logs and what was recorded")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix=prefix)
    good = False
    try:
        good = lab(folder, options.build)
    except KeyboardInterrupt:
        print("\ninterrupted: cleaned up")
        sys.exit(130)
    finally:
        if options.keep or not good:
            print(f"logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if good else 1)
