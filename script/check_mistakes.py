#!/usr/bin/env python3
"""Simple mistakes that a grep finds. Each has a name, a pattern and what to do instead."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CODE = r"\.(cpp|hpp|c|h)$"
MISTAKES = [
    ("unsafe string function", CODE, r"\b(strcpy|strcat|sprintf|gets|strtok)\s*\(", "use std::string or snprintf"),
    ("shell from code", r"^(libvmsec|modules|plugins|tools)/.*" + CODE, r"(?<![\w.:>])(std::)?(system|popen)\s*\(", "use posix_spawn with an argument list"),
    ("memcmp on a digest or key", r"^(libvmsec|modules|plugins)/.*" + CODE, r"\bmemcmp\s*\([^;]*(digest|secret|key|mac|tag|nonce|hash)", "use CRYPTO_memcmp"),
    ("rand()", CODE, r"(?<![\w])(std::)?s?rand\s*\(", "use RAND_bytes, or std::mt19937_64 with a seed in tests"),
    ("using namespace std", CODE, r"using\s+namespace\s+std\s*;", "name what is used"),
    ("naked new of an array", CODE, r"\bnew\s+\w+\s*\[", "use std::vector"),
    ("to do without an issue's number", r".*", r"\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))", "do it, or name the issue: TODO" + "(#12)"),
    ("certificate check switched off", CODE, r"SSL_VERIFY_NONE", "never"),
    ("machine path", r".*", r"(^|[^\w.])/(work|farm)/", "paths come from arguments or the environment"),
    ("throw across a public function", r"^libvmsec/include/.*", r"\bthrow\b(?!s)", "answer a Result"),
    ("sleep as a way to wait in a test", r"^test/.*\.cpp$", r"sleep_for\s*\(\s*std::chrono::seconds", "wait for the condition"),
]
SELF = "script/check_mistakes.py"


def unbuilt_tests(names):
    """Tests that no CMakeLists.txt above them names: they pass because they never run."""
    lists = [ROOT / name for name in names if name.startswith("test/") and name.endswith("CMakeLists.txt")]
    for name in names:
        if not re.match(r"test/.*_test\.cpp$", name):
            continue
        path = ROOT / name
        above = [file for file in lists if path.is_relative_to(file.parent)]
        if not any(re.search(rf"(?<![\w/]){re.escape(str(path.relative_to(file.parent)))}\b", file.read_text()) for file in above):
            yield name


def main():
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    found = 0
    for name in names:
        path = ROOT / name
        if name == SELF or not path.is_file() or path.is_symlink():
            continue
        rules = [rule for rule in MISTAKES if re.search(rule[1], name)]
        data = path.read_bytes()
        if b"\0" in data[:4096] or not rules:
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            for title, _, pattern, instead in rules:
                if re.search(pattern, line) and "mistake-ok:" not in line:
                    print(f"{name}:{number}: {title}: {instead}")
                    found += 1
    for name in unbuilt_tests(names):
        print(f"{name}:1: a test that is in no build: name it in its CMakeLists.txt")
        found += 1
    print(f"mistakes: {len(names)} files, {found} found")
    return 1 if found else 0


sys.exit(main())
