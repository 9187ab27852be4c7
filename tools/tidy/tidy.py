# SPDX-License-Identifier: GPL-2.0-only
"""tidy.py - what the checks of `make tidy` share: the list of files, the written exceptions, the closing count."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHECK = os.path.basename(sys.argv[0])
os.chdir(ROOT)

_bad = set()
_used = set()


def files():
    """Every file of the project, relative to its top; build products and git's own left out."""
    found = []
    for folder, folders, names in os.walk("."):
        folders[:] = sorted(d for d in folders if d not in (".git", "build", "__pycache__"))
        for name in sorted(names):
            path = os.path.relpath(os.path.join(folder, name), ".")
            if os.path.isfile(path) and not name.endswith((".pyc", "~", ".swp", ".orig", ".rej")):
                found.append(path)
    return found


def c_files():
    return [p for p in files() if p.endswith((".c", ".h"))]


def is_text(path):
    with open(path, "rb") as f:
        return b"\0" not in f.read(4096)


def scripts():
    """Programs in a script language, as (path, interpreter's name)."""
    found = []
    for path in files():
        with open(path, "rb") as f:
            first = f.readline(200)
        if first.startswith(b"#!"):
            found.append((path, first.decode().split("/")[-1].split()[-1]))
    return found


def lines(path):
    with open(path, encoding="utf-8") as f:
        return f.read().split("\n")


def code_only(text):
    """C with comments and the insides of strings blanked out; line numbers stay."""
    def blank(m):
        piece = m[0]
        return piece if piece[0] not in "/\"'" else re.sub(r"[^\n]", " ", piece)
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def _exceptions():
    """Lines of tools/tidy/exceptions: check, path or path:name, why."""
    found = {}
    for n, line in enumerate(lines("tools/tidy/exceptions"), 1):
        if line.strip() and not line.startswith("#"):
            words = line.split(None, 2)
            if len(words) < 3:
                print(f"tools/tidy/exceptions:{n}: expected: check, place, why")
                _bad.add("tools/tidy/exceptions")
            elif words[0] == CHECK:
                found[words[1]] = n
    return found


EXCEPTIONS = _exceptions()


def excused(place):
    """True where tools/tidy/exceptions names `place` (a path, or path:name) for this check."""
    if place in EXCEPTIONS:
        _used.add(place)
        return True
    return False


def say(path, line, why):
    """Reports a finding, unless the whole file is excused."""
    if excused(path):
        return
    _bad.add(path)
    print(f"{path}:{line}: {why}")


def end(count):
    """Prints the closing count and returns the exit status. An exception nobody needs any more is a finding."""
    for place, n in EXCEPTIONS.items():
        if place not in _used:
            _bad.add("tools/tidy/exceptions")
            print(f"tools/tidy/exceptions:{n}: {place} needs no exception any more")
    failed = len(_bad)
    print(f"{max(count - failed, 0)} passed, {failed} failed")
    return 1 if failed else 0
