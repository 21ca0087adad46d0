"""The commands `kafka-topics` and the like: the program, under the name of the command."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NoReturn

from ottla import find_binary


def main() -> NoReturn:
    """Runs the program with the name and the arguments of this command."""
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    binary = str(find_binary())
    if sys.platform == "win32":
        sys.exit(subprocess.run([binary, name, *sys.argv[1:]], check=False).returncode)
    os.execv(binary, [name, *sys.argv[1:]])
