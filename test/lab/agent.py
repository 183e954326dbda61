"""One host of a lab: its configuration, its vmsecd, and the vmsec command line against it."""
import json
import os
import pathlib
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


class CommandFailed(Exception):
    """A vmsec command's own error: exit code and message."""

    def __init__(self, arguments, code, text):
        super().__init__(f"vmsec {' '.join(arguments)}: exit {code}: {text.strip()}")
        self.code = code
        self.text = text


def wait_for(what, condition, seconds=60.0, step=0.05):
    """Waits for a condition; the limit only says that it will never come."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(step)


def toml(value):
    """A TOML value; texts, numbers, booleans and lists of texts."""
    return json.dumps(value)


def configuration(tables):
    """vmsecd's configuration as text: {"host": {...}, "peer": [{...}]}; dots make sub-tables."""
    lines = []
    for table, content in tables.items():
        for entry in content if isinstance(content, list) else [content]:
            lines.append(f"[[{table}]]" if isinstance(content, list) else f"[{table}]")
            lines += [f"{key} = {toml(value)}" for key, value in entry.items()]
            lines.append("")
    return "\n".join(lines)


class Programs:
    """Where vmsec's parts are: in a build folder, or below the prefix of an installed package."""

    def __init__(self, folder):
        folder = pathlib.Path(folder).resolve()
        installed = (folder / "sbin/vmsecd").exists()
        self.vmsec = folder / "bin/vmsec"
        self.vmsecd = folder / ("sbin/vmsecd" if installed else "bin/vmsecd")
        library = next(folder.glob("lib*/**/vmsec/plugins")).parent
        self.plugins = library / "plugins"
        self.modules = library / "modules"
        self.trust = folder / ("share/vmsec/examples/two_hosts/trust.toml" if installed else "test/trust.toml")


class Agent:
    """vmsecd on one host. `enter` is the command prefix that runs a program on that host."""

    def __init__(self, name, folder, build, enter=()):
        self.name = name
        self.folder = pathlib.Path(folder)
        self.seen = self.folder  # as vmsecd sees it
        self.programs = Programs(build)
        self.enter = list(enter)
        self.socket = self.folder / "vmsecd.sock"
        self.config = self.folder / "vmsecd.toml"
        self.log = self.folder / "vmsecd.log"
        self.state = self.folder / "state"
        self.run = self.folder / "run"
        self.process = None
        self.folder.mkdir(parents=True, exist_ok=True)

    def configure(self, tables):
        self.config.write_text(configuration(tables))

    def start(self):
        """Starts vmsecd and returns when it answers."""
        log = open(self.log, "ab")
        self.process = subprocess.Popen([*self.enter, str(self.programs.vmsecd), "--config", str(self.config)],
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()
        wait_for(f"vmsecd on {self.name}", self._answers, 60)

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"vmsecd on {self.name} ended with {self.process.returncode}:\n{self.log_tail()}")
        try:
            self.vmsec("host", "info")
            return True
        except CommandFailed:
            return False

    def log_tail(self, lines=15):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def pid(self):
        """vmsecd's own process id: the prefix may have forked."""
        return self.process.pid if not self.enter else self._find_child()

    def _find_child(self):
        out = subprocess.run(["pgrep", "-f", f"bin/vmsecd --config {self.config}$"], capture_output=True, text=True)
        pids = [int(pid) for pid in out.stdout.split()]
        return pids[-1] if pids else None

    def kill(self):
        """kill -9, as a crash."""
        pid = self.pid()
        if pid:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def worker(self, module):
        """The process id of a module's worker, or None."""
        for children in pathlib.Path(f"/proc/{self.pid()}/task").glob("*/children"):
            try:
                for child in children.read_text().split():
                    if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == module:
                        return int(child)
            except (FileNotFoundError, ProcessLookupError):  # a thread, or a child, that has ended meanwhile
                continue
        return None

    def kill_worker(self, module):
        """kill -9 of the process in which a module runs."""
        os.kill(wait_for(f"the worker of {module}", lambda: self.worker(module), 40), signal.SIGKILL)

    def wait_for_module(self, module):
        """Until the module's process was started again after its end."""
        wait_for(f"module {module} on {self.name}", lambda: self.worker(module) and self.show("migrate", "list").returncode == 0, 40)

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        pid = self.pid()
        if pid:
            os.kill(pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def command(self, *arguments):
        return [*self.enter, str(self.programs.vmsec), "--agent", str(self.socket), *map(str, arguments)]

    def vmsec(self, *arguments, timeout=300):
        """Runs `vmsec --json ...` and answers what it printed, decoded."""
        done = subprocess.run(self.command("--json", *arguments), capture_output=True, text=True, timeout=timeout)
        if done.returncode not in (0, 5):
            raise CommandFailed(list(map(str, arguments)), done.returncode, done.stderr or done.stdout)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def show(self, *arguments, timeout=300):
        """Runs `vmsec ...` as a person would; answers its text, exit code unchecked."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=timeout)

    def domain(self, name):
        """The domain's entry in `vm list`, or None."""
        return next((d for d in self.vmsec("vm", "list")["domains"] if d["name"] == name), None)

    def cpu_seconds(self):
        """CPU time of vmsecd so far, user and system."""
        fields = pathlib.Path(f"/proc/{self.pid()}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
