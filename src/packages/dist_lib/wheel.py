"""Python packages: the wheel `ottla`, which holds the program, and `pytest-ottla`."""

import os
import sys

from . import licences, project, programs

RECOMPRESS = project.PACKAGES / "dist_lib/recompress.py"
REQUIREMENTS = project.PACKAGES / "dist_lib/requirements.txt"


def platforms(machine):
    """Returns the platform tags of a program with its C library linked in: old glibc, and musl."""
    return f"manylinux_2_17_{machine}.musllinux_1_1_{machine}"


def wheels(all_programs, out):
    """Makes a wheel for each program."""
    for program in all_programs:
        staged = project.staged(project.PACKAGES / "python", f"python-{program.machine}", ignore=["tests"])
        programs.install(program, staged / "ottla-program")
        licences.copy_to(staged)
        scripts = [f'{tool} = "ottla._tools:main"\n' for tool in project.kafka_tools()]
        with (staged / "pyproject.toml").open("a", encoding="utf-8") as file:
            file.write("\n[project.scripts]\n" + "".join(scripts))
        build(staged, out, "wheel", {"OTTLA_WHEEL_PLATFORMS": platforms(program.machine)})
        (made,) = out.glob(f"*_{program.machine}.whl")
        project.run([backend(), RECOMPRESS, made])


def pytest_plugin(_programs, out):
    """Makes the wheel and the source distribution of the pytest plug-in, which has no program of its own."""
    staged = project.staged(project.PACKAGES / "pytest-ottla", "pytest-ottla")
    licences.copy_own_to(staged)
    build(staged, out, "wheel")
    build(staged, out, "sdist")


def build(source, out, kind, env=None):
    environment = {"SOURCE_DATE_EPOCH": project.epoch(), "PYTHONDONTWRITEBYTECODE": 1, **(env or {})}
    out.mkdir(parents=True, exist_ok=True)
    command = [backend(), "-m", "hatchling", "build", "--target", kind, "--directory", out]
    # What is packed has the permissions of these files, which must not depend on the user's umask.
    for path in source.rglob("*"):
        os.chmod(path, 0o755 if path.is_dir() or path.name == "ottla-program" else 0o644)
    project.run(command, cwd=source, env=environment)


def backend():
    """Returns a Python that has the build backend, in an environment that is made once for these requirements."""
    wanted = REQUIREMENTS.read_text()
    home = project.TARGET / "dist-tools" / f"python-{sys.version_info[0]}.{sys.version_info[1]}"
    python, complete = home / "bin/python", home / "installed.txt"
    if not complete.exists() or complete.read_text() != wanted:
        project.run([sys.executable, "-m", "venv", "--clear", home])
        install = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-r", REQUIREMENTS]
        project.run(install)
        complete.write_text(wanted)
    return python
