"""Finds the program."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Optional, Union


def find_binary(path: Optional[Union[str, "os.PathLike[str]"]] = None) -> Path:
    """Return the path of the program.

    It is `path`; else the environment variable OTTLA_BINARY; else the program that this package carries; else `ottla` on
    the PATH.
    """
    chosen = path or os.environ.get("OTTLA_BINARY")
    if chosen:
        if not os.access(chosen, os.X_OK):
            raise FileNotFoundError(f"the ottla program is not at {os.fspath(chosen)}")
        return Path(chosen)
    name = "ottla.exe" if sys.platform == "win32" else "ottla"
    schemes = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user")) if sys.version_info >= (3, 10) else None]
    carried = [Path(scheme, name) for scheme in schemes if scheme]
    for candidate in carried:
        if os.access(candidate, os.X_OK):
            return candidate
    found = shutil.which(name)
    if found:
        return Path(found)
    tried = ", ".join(str(candidate) for candidate in carried)
    raise FileNotFoundError(f"no ottla program: OTTLA_BINARY is not set, none at {tried}, and none on the PATH")
