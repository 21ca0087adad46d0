"""Finds the program."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Iterator, List, Optional, Union

from ._errors import BinaryNotFoundError

PathLike = Union[str, "os.PathLike[str]"]

_NAME = "ottla.exe" if sys.platform == "win32" else "ottla"


def find_binary(path: Optional[PathLike] = None) -> Path:
    """Return the path of the program.

    It is `path`, if given; else the value of the environment variable OTTLA_BINARY; else the program that this package
    carries; else `ottla` on the PATH.
    """
    if path is not None:
        return _given(os.fspath(path), "the given path")
    variable = os.environ.get("OTTLA_BINARY")
    if variable:
        return _given(variable, "OTTLA_BINARY")
    tried: List[str] = []
    for folder in _scripts_folders():
        candidate = os.path.join(folder, _NAME)
        if _is_program(candidate):
            return Path(candidate)
        if candidate not in tried:
            tried.append(candidate)
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        candidate = os.path.join(folder, _NAME)
        if folder and _is_program(candidate):
            return Path(candidate)
    raise BinaryNotFoundError(
        "the program ottla was not found: no path is given, OTTLA_BINARY is not set, "
        f"this package carries none ({', '.join(tried)}), and none is on the PATH ({os.environ.get('PATH', '')}); "
        "pip install ottla installs it"
    )


def _given(path: str, source: str) -> Path:
    if not _is_program(path):
        raise BinaryNotFoundError(f"the program ottla is not at {path} ({source}), or it is not executable")
    return Path(path)


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _scripts_folders() -> Iterator[str]:
    """The folders where an installer may have put the scripts of this package."""
    site_packages = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    # PREFIX/lib/python3.x/site-packages: virtual environments, and installations of the system or a user.
    yield os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(site_packages))), "bin")
    # pip install --target FOLDER
    yield os.path.join(site_packages, "bin")
    yield os.path.dirname(sys.executable)
    # Not at the top, because it takes milliseconds to import.
    import sysconfig

    yield sysconfig.get_path("scripts")
    yield sysconfig.get_path("scripts", f"{os.name}_user")
