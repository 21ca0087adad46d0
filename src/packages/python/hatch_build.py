"""Puts the program into the wheel, and tags the wheel with the platforms that the program runs on."""

import os
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ProgramHook(BuildHookInterface):
    """src/packages/dist puts the program beside this file and sets OTTLA_WHEEL_PLATFORMS."""

    def initialize(self, version, build_data):
        program = Path(self.root, "ottla-program")
        platforms = os.environ.get("OTTLA_WHEEL_PLATFORMS")
        if version == "editable" or not program.exists():
            # Without a program, for work on the module: it takes OTTLA_BINARY or the PATH.
            return
        if not platforms:
            raise RuntimeError("OTTLA_WHEEL_PLATFORMS is not set: build the wheel with src/packages/dist wheel")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platforms}"
        build_data["shared_scripts"][str(program)] = "ottla"
