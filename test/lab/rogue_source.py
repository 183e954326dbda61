"""rogue_source.cpp as a process: a host that was taken over begins a migration."""
import base64
import pathlib
import socket
import subprocess

from . import libvirt_rpc as rpc


def bytes_of(ticket):
    """A file with the ticket's bytes, beside the one with its text."""
    text = pathlib.Path(ticket)
    raw = text.with_suffix(".raw")
    raw.write_bytes(base64.b64decode("".join(text.read_text().splitlines()[1:-1])))
    return raw


def text_of(content, file):
    """The other way round: a file with the text form of these bytes."""
    word = "VMSEC MIGRATION TICKET"
    digits = base64.b64encode(content).decode()
    lines = [digits[at:at + 64] for at in range(0, len(digits), 64)]
    pathlib.Path(file).write_text("\n".join([f"-----BEGIN {word}-----", *lines, f"-----END {word}-----", ""]))
    return file


class RogueSource:
    """`link` is the near end of the control stream, once `refusal` is empty."""

    def __init__(self, agent, identity, **words):
        state = agent.folder / "rogue"
        state.mkdir(exist_ok=True)
        words |= {key: identity[key] for key in ("ca", "certificate", "key", "revocations")} | {"state": state}
        near, far = socket.socketpair()
        self.process = subprocess.Popen(
            [*agent.enter, str(agent.programs.vmsec.parents[1] / "test/rogue_source"), *[f"{key}={value}" for key, value in words.items()],
             f"fd={far.fileno()}"], pass_fds=[far.fileno()], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        far.close()
        self.link = rpc.Link(near)
        self.migration = self.process.stdout.readline().split()[-1]
        self.steps, self.refusal = [], ""
        while (line := self.process.stdout.readline().strip()) not in ("joined", ""):
            self.steps.append(line)
            if line.startswith("refused"):
                self.refusal = line

    def end(self):
        """Hangs up, after what was said is sent."""
        self.link.close()
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()
