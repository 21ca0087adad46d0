"""npm packages: `ottla`, and one with the program for each platform, of which npm installs the one that fits."""

import json
import os

from . import licences, programs, project

# As Node calls them: process.platform and process.arch.
CPUS = {"x86_64": "x64", "aarch64": "arm64"}


def packages(all_programs, out):
    project.need("npm", "Node.js with npm")
    main = project.staged(project.PACKAGES / "npm/ottla", "npm-ottla", ignore=["test"])
    manifest = json.loads((main / "package.json").read_text(encoding="utf-8"))
    manifest.update(version=project.version(), license=project.licence())
    # Exactly this version: another one's program may have other flags.
    platforms = sorted(manifest.get("optionalDependencies", {}))
    manifest["optionalDependencies"] = {name: project.version() for name in platforms}
    licences.copy_own_to(main)
    pack(main, manifest, out)
    for program in all_programs:
        platform(program, platforms, out)


def platform(program, known, out):
    name = f"@ottla/linux-{CPUS[program.machine]}"
    if name not in known:
        raise project.Failed(f"the package ottla has no optional dependency {name}")
    directory = project.fresh(project.WORK / f"npm-{program.npm}")
    programs.install(program, directory / "bin/ottla")
    licences.copy_to(directory)
    manifest = {
        "name": name,
        "version": project.version(),
        "description": f"The program of the package ottla for Linux on {CPUS[program.machine]}",
        "license": project.licence(),
        "os": ["linux"],
        "cpu": [CPUS[program.machine]],
        "files": ["bin/ottla", "LICENSE", licences.NAME],
        # Otherwise a package manager may keep it zipped, and a program cannot be started from there.
        "preferUnplugged": True,
    }
    pack(directory, manifest, out)


def pack(directory, manifest, out):
    (directory / "package.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    out.mkdir(parents=True, exist_ok=True)
    os.chmod(directory, 0o755)
    project.run(["npm", "pack", "--ignore-scripts", "--offline", "--pack-destination", out], cwd=directory)
