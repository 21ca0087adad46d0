"""The Go module, in the files of a module proxy: with `GOPROXY=file:///…/target/dist/go`, `go get` takes it from there."""

import json
import time

from . import archive, licences, project


def module(_programs, out):
    staged = project.staged(project.PACKAGES / "go", "go")
    licences.copy_own_to(staged)
    manifest = (staged / "go.mod").read_text(encoding="utf-8")
    path = next(line.split()[1] for line in manifest.splitlines() if line.startswith("module "))
    version = f"v{project.version()}"
    directory = out / escaped(path) / "@v"
    directory.mkdir(parents=True)
    archive.zip_file(directory / f"{version}.zip", staged, f"{path}@{version}")
    (directory / f"{version}.mod").write_text(manifest, encoding="utf-8")
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(project.epoch()))
    (directory / f"{version}.info").write_text(json.dumps({"Version": version, "Time": moment}), encoding="utf-8")
    (directory / "list").write_text(f"{version}\n", encoding="utf-8")


def escaped(path):
    """Returns the path as a proxy has it: an upper-case letter is an exclamation mark and the lower-case letter."""
    return "".join(f"!{letter.lower()}" if letter.isupper() else letter for letter in path)
