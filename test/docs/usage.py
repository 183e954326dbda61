"""Does a command line parse? Its subcommands and options are looked up in --help, so that nothing is run."""
import functools
import re
import shlex
import subprocess


class Usage:
    def __init__(self, folders):
        self.folders = folders  # program name to its path

    @functools.lru_cache(maxsize=None)
    def help(self, program, *subcommands):
        done = subprocess.run([self.folders[program], *subcommands, "--help"], capture_output=True, text=True)
        if done.returncode != 0:
            raise LookupError(f"{program} {' '.join(subcommands)} --help: exit code {done.returncode}")
        return done.stdout

    def section(self, text, title):
        found = re.search(rf"^{title}:.*\n((?:  .*\n)*)", text, re.M)
        return re.findall(r"^  (\S+)", found[1], re.M) if found else []

    def subcommands(self, program, *path):
        return self.section(self.help(program, *path), "Subcommands")

    def options(self, text):
        return set(re.findall(r"^ +(?:-\w,)?(?:--[a-z-]+,)*(--[a-z-]+)", text, re.M)) | set(
            option for line in re.findall(r"^  ((?:-{1,2}[\w-]+,?)+)", text, re.M) for option in line.split(",")
            if option.startswith("-"))

    def fault(self, command):
        """What is wrong with `vmsec ...`; None where nothing is."""
        words = [word for word in shlex.split(command.replace("...", "")) if word not in ("[", "]")]
        program, path = words[0], []
        for word in words[1:]:
            known = self.subcommands(program, *path)
            if word.startswith(("-", "[")) or not known:
                break
            if word in known:
                path.append(word)
            elif self.section(self.help(program, *path), "Positionals"):
                break  # it stands for a thing: "migrate web-1"
            else:
                return f"no subcommand \"{word}\" of {program} {' '.join(path)}"
        known = self.options(self.help(program, *path)) | self.options(self.help(program))
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", command):
            if option not in known:
                return f"{program} {' '.join(path)} has no option {option}"
        return None

    def leaves(self, program, path=()):
        """Every command, for the examples of its --help."""
        yield path
        for word in self.subcommands(program, *path):
            yield from self.leaves(program, (*path, word))

    def examples(self, program):
        for path in self.leaves(program):
            text = self.help(program, *path)
            for line in re.sub(r" *\\\n\s*", " ", text).splitlines():
                if re.match(r"  vmsecd? ", line):
                    yield f"{program} {' '.join(path)} --help", line.split(" #")[0].strip()


def calls_in(command):
    """The calls of our programs within a shell command."""
    for part in re.split(r"&&|;|\||<\(|\)", re.sub(r"(?<!\w)[0-9]?>+ *\S+", "", command)):
        words = part.split()
        if words and words[0] in ("vmsec", "vmsecd"):
            yield part.strip()
