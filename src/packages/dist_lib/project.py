"""The project: its version and licence from Cargo.toml, its directories, and how other programs are run."""

import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ROOT / "src/packages"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or "target")
TARGET = TARGET if TARGET.is_absolute() else ROOT / TARGET
WORK = TARGET / "dist-work"

# What the sources of packages have in place of the version and the licence, which only Cargo.toml states.
VERSION_MARKER = re.compile(r"(?<![\w.])0\.0\.0(?![\w.])")
LICENCE_MARKER = "LicenseRef-Cargo.toml"


class Failed(Exception):
    """Something is missing or did not work. The text says what to do."""


@functools.lru_cache(maxsize=None)
def manifest():
    """Returns the package `ottla` as Cargo describes it."""
    text = run([cargo(), "metadata", "--format-version", "1", "--no-deps", "--offline"], cwd=ROOT)
    return next(package for package in json.loads(text)["packages"] if package["name"] == "ottla")


def version():
    return manifest()["version"]


def licence():
    return manifest()["license"]


def description():
    return manifest()["description"]


def cargo():
    return os.environ.get("CARGO") or "cargo"


def kafka_tools():
    """Returns the names of Kafka's tools that the program has."""
    lines = (ROOT / "docker/rootfs/usr/share/ottla/tools").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@functools.lru_cache(maxsize=None)
def epoch():
    """Returns the time, in seconds since 1970, of everything that is packed: SOURCE_DATE_EPOCH or that of the commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    if (ROOT / ".git").exists() and shutil.which("git"):
        # Of the sources, not of the checkout: the same for everyone.
        return int(run(["git", "log", "-1", "--format=%ct"], cwd=ROOT).strip())
    return 1_700_000_000


def run(command, cwd=None, env=None, show=False, progress=False):
    """Runs a program and returns its output. With `show`, its output is passed on to stderr instead; with `progress`, what
    it prints on stderr."""
    command = [str(word) for word in command]
    environment = {**os.environ, **{name: str(value) for name, value in (env or {}).items()}}
    try:
        done = subprocess.run(
            command,
            cwd=cwd or ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr if show else subprocess.PIPE,
            stderr=None if show or progress else subprocess.PIPE,
            check=False,
        )
    except OSError as error:
        raise Failed(f"cannot run {command[0]}: {error.strerror or error}") from None
    if done.returncode:
        output = b"" if show else done.stdout + (done.stderr or b"")
        raise Failed(f"{' '.join(command)} ended with {done.returncode}\n{output.decode(errors='replace')}".rstrip())
    return "" if show else done.stdout.decode()


def need(program, install):
    """Returns the path of a program, or fails with what to install."""
    found = shutil.which(program)
    if not found:
        raise Failed(f"{program} is missing: install {install}")
    return found


def fresh(path):
    """Returns this directory, empty."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def staged(source, name, ignore=()):
    """Copies the sources of a package to a working directory, with version and licence in place of the markers."""
    if not source.is_dir():
        raise Failed(f"{source} is missing")
    goal = WORK / name
    shutil.rmtree(goal, ignore_errors=True)
    usual = ("__pycache__", "*.pyc", "node_modules", "target", "dist", "build", "*.egg-info", ".pytest_cache", ".mypy_cache")
    shutil.copytree(source, goal, ignore=shutil.ignore_patterns(*usual, *ignore))
    for path in [goal, *sorted(goal.rglob("*"))]:
        # As in a checkout with the usual umask.
        os.chmod(path, 0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        if path.is_file():
            stamp(path)
    return goal


def absolute(text):
    """Returns the path; the working directory of what is run is another one."""
    return Path(text).absolute()


def stamp(path):
    """Replaces the markers in a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    new = VERSION_MARKER.sub(version(), text).replace(LICENCE_MARKER, licence())
    if new != text:
        path.write_text(new, encoding="utf-8")


def md5(path):
    """Returns the sum that dpkg compares installed files with."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
