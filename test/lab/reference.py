"""The reference file of a lab: what an operator reviewed as a good boot."""
import pathlib
import subprocess

REPLAY = pathlib.Path(__file__).resolve().parents[1] / "testbed/tpm/replay"


def write_reference(event_log, file):
    """The PCR values that the event log of the good boot leads to."""
    out = subprocess.run([str(REPLAY), "expect", str(event_log)], capture_output=True, text=True, check=True).stdout
    values = [line.split()[1:] for line in out.splitlines() if line.startswith("sha256 ")]
    values = [(int(pcr), value) for pcr, value in values if int(pcr) < 8]
    lines = ["# The values of a boot that an operator reviewed.", "version = 1",
             f"pcrs = [{', '.join(str(pcr) for pcr, _ in values)}]"]
    for pcr, value in values:
        lines += [f"[pcr.{pcr}]", f'values = ["{value}"]']
    pathlib.Path(file).write_text("\n".join(lines) + "\n")
