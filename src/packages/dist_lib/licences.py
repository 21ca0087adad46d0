"""The licence of Ottla, and the licences of everything that is linked into the program."""

import functools
import json
import re
import shutil
from pathlib import Path

from . import project

LIBC = project.PACKAGES / "dist_lib/LGPL-2.1.txt"
NAME = "THIRD-PARTY-LICENSES.txt"
LICENCE_FILES = re.compile(r"(?i)^(un)?(licen[cs]e|copying|notice|copyright)([-_.].*)?$")
OTHER_DIRECTORIES = {"tests", "test", "benches", "examples", "contrib", "doc", "docs", "programs", "target", "src", "zlibWrapper"}
HEAD = """\
Ottla {version} is under {licence}. The program contains the libraries that are listed here, with their licences.

The C library is linked in statically: the GNU C Library, LGPL-2.1-or-later, whose text is the last one of this file. (The program
also runs on systems with musl, but has no part of it.) The sources of Ottla with src/packages/static-build are what is needed to
link the program with a changed C library. From GCC: libgcc, GPL-3.0 with the
GCC Runtime Library Exception. The standard library of Rust: MIT OR Apache-2.0.
"""


@functools.lru_cache(maxsize=None)
def crates():
    """Returns the crates of others that are linked into the program, as Cargo describes them."""
    command = [project.cargo(), "metadata", "--format-version", "1", "--locked"]
    metadata = json.loads(project.run([*command, "--filter-platform", "x86_64-unknown-linux-gnu"]))
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    found, waiting = set(), [project.manifest()["id"]]
    while waiting:
        crate = waiting.pop()
        if crate in found:
            continue
        found.add(crate)
        for dependency in nodes[crate]["deps"]:
            # Not what only tests and build scripts need.
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]) and not _is_macro(packages[dependency["pkg"]]):
                waiting.append(dependency["pkg"])
    others = [packages[crate] for crate in found if packages[crate]["source"]]
    return sorted(others, key=lambda package: (package["name"], package["version"]))


def _is_macro(package):
    """Whether the crate runs in the compiler, and so is no part of the program."""
    return any("proc-macro" in target["kind"] for target in package["targets"])


def third_party():
    """Returns the list of crates, and after it each text with the crates that it belongs to."""
    texts = {}
    lines = []
    for crate in crates():
        name = f"{crate['name']} {crate['version']}"
        lines.append(f"{name}: {crate['license'] or 'see its text'}")
        for path in _files(Path(crate["manifest_path"]).parent):
            text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").strip()
            key = " ".join(text.split())
            texts.setdefault(key, (text, []))[1].append(name)
    parts = [HEAD.format(version=project.version(), licence=project.licence()), "\n".join(lines)]
    for text, names in texts.values():
        parts.append("-" * 100 + "\n" + ", ".join(dict.fromkeys(names)) + "\n\n" + text)
    parts.append("-" * 100 + "\nGNU C Library\n\n" + LIBC.read_text(encoding="utf-8").strip())
    return "\n\n".join(parts) + "\n"


def _files(crate):
    """Returns the licence files of a crate and of the C library that it includes."""
    found = []
    for path in sorted(crate.rglob("*")):
        inside = path.relative_to(crate)
        if path.is_file() and LICENCE_FILES.match(path.name) and not OTHER_DIRECTORIES.intersection(inside.parts):
            found.append(path)
    return found


@functools.lru_cache(maxsize=None)
def file():
    """Returns the path of the file with all licences of others, written once."""
    path = project.WORK / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(third_party(), encoding="utf-8")
    return path


def copy_own_to(directory):
    shutil.copyfile(project.ROOT / "LICENSE", directory / "LICENSE")


def copy_to(directory):
    """Copies both to a directory of a package."""
    copy_own_to(directory)
    shutil.copyfile(file(), directory / NAME)


def release_file(_programs, out):
    """Puts the file beside the packages."""
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file(), out / NAME)
