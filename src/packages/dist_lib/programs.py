"""The program that is packed: one for each machine, built by src/packages/static-build or given by --binary."""

import os
import platform
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from . import project

# Names of the machines in the ELF header, and as each kind of package calls them.
ELF = {62: "x86_64", 183: "aarch64"}
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
# A text that the program has.
MARK = b"--exit-with-parent"
NPM = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}


@dataclass(frozen=True)
class Program:
    """A program, and the machine that it runs on."""

    machine: str
    path: Path

    @property
    def debian(self):
        return DEBIAN[self.machine]

    @property
    def npm(self):
        return NPM[self.machine]

    def command(self):
        """Returns the command that runs it here, or None."""
        if self.machine == platform.machine():
            return [str(self.path)]
        emulator = shutil.which(f"qemu-{self.machine}-static") or shutil.which(f"qemu-{self.machine}")
        return [emulator, str(self.path)] if emulator else None


class Programs:
    """The programs for the wanted machines, each built when it is first asked for."""

    def __init__(self, machines, binaries=()):
        self.given = {}
        for path in binaries:
            path = Path(path).resolve()
            if not path.is_file():
                raise project.Failed(f"--binary {path} is not a file")
            machine = machine_of(path)
            check(Program(machine, path))
            if needs_a_c_library(path):
                print(f"--binary {path} needs a C library like this machine's; a package of it does not run elsewhere")
            self.given[machine] = path
        self.machines = list(machines or self.given or [platform.machine()])
        self.built = {}
        # The machines whose programs could not be built.
        self.missing = []

    def __iter__(self):
        for machine in self.machines:
            program = self.get(machine)
            if program:
                yield program

    def get(self, machine):
        """Returns the program for this machine; None if it is left out because it cannot be built here."""
        if machine not in self.built:
            self.built[machine] = self._make(machine)
        return self.built[machine]

    def _make(self, machine):
        if machine in self.given:
            return Program(machine, self.given[machine])
        if self.given:
            raise project.Failed(f"no --binary is a program for {machine}")
        try:
            print(f"building the program for {machine}; the first time, this takes 5 to 20 minutes", flush=True)
            path = project.run([project.PACKAGES / "static-build", machine], progress=True).strip()
        except project.Failed as failed:
            self.missing.append(machine)
            print(f"left out: everything for {machine}, because its program could not be built\n{failed}")
            return None
        return Program(machine, project.ROOT / path)

    def for_documents(self):
        """Returns the command of a program that runs here, for man pages and completions."""
        for machine in [platform.machine(), *self.machines]:
            if self.given and machine not in self.given:
                continue
            program = self.get(machine)
            command = program and program.command()
            if command:
                return command
        # For another machine alone: the same sources, quickly built for this one.
        project.run([project.cargo(), "build", "--locked", "--bin", "ottla"], show=True)
        return [str(project.TARGET / "debug/ottla")]


def machine_of(path):
    """Returns the machine that an ELF program is for. Anything else is a stand-in for this machine's program."""
    with open(path, "rb") as file:
        head = file.read(20)
    if len(head) == 20 and head[:4] == b"\x7fELF":
        (number,) = struct.unpack_from("<H", head, 18)
        if number not in ELF:
            raise project.Failed(f"{path} is for a machine that no package is made for")
        return ELF[number]
    return platform.machine()


def needs_a_c_library(path):
    """Whether an ELF program is linked dynamically: it names the loader."""
    with open(path, "rb") as file:
        head = file.read(4096)
    return head[:4] == b"\x7fELF" and b"/ld-linux" in head


def check(program):
    """Fails if the file is not this version of the program; for another machine, if it does not look like the program."""
    command = program.command()
    if command is None:
        if MARK not in program.path.read_bytes():
            raise project.Failed(f"--binary {program.path} is not the program ottla")
        return
    wanted = f"ottla {project.version()}"
    try:
        found = project.run([*command, "--version"]).strip()
    except (project.Failed, UnicodeDecodeError) as failed:
        raise project.Failed(f"--binary {program.path} is not the program ottla: {failed}") from None
    if found != wanted:
        raise project.Failed(f"--binary {program.path} is not the program {wanted}: --version prints {found[:100]!r}")


def install(program, path):
    """Copies the program to `path`, executable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(program.path, path)
    os.chmod(path, 0o755)
