"""The software bill of materials: CycloneDX, from Cargo.lock, by cargo-cyclonedx."""

import json
import os
import shutil

from . import project

VERSION = "0.5.9"
TARGET = "x86_64-unknown-linux-gnu"


def bill(_programs, out):
    tool = cargo_cyclonedx()
    # It writes beside the manifests.
    copy = project.fresh(project.WORK / "sbom")
    for name in ("Cargo.toml", "Cargo.lock", "README.md", "LICENSE"):
        shutil.copyfile(project.ROOT / name, copy / name)
    for name in ("src", "benches", "tests"):
        ignored = shutil.ignore_patterns("packages", "target", "__pycache__", "data", "node_modules")
        shutil.copytree(project.ROOT / name, copy / name, ignore=ignored)
    command = [tool, "cyclonedx", "--format", "json", "--spec-version", "1.5", "--target", TARGET]
    options = ["--no-build-deps", "--describe", "binaries"]
    name = f"ottla-{project.version()}.cdx.json"
    project.run([*command, *options], cwd=copy, env={"SOURCE_DATE_EPOCH": project.epoch()})
    found = sorted(copy.glob("*.json"))
    if not found:
        raise project.Failed("cargo-cyclonedx wrote no file")
    out.mkdir(parents=True, exist_ok=True)
    text = found[0].read_text(encoding="utf-8").replace(f"{copy}", "/ottla")
    (out / name).write_text(json.dumps(json.loads(text), indent=2) + "\n", encoding="utf-8")


def cargo_cyclonedx():
    """Returns the path of the tool, which is compiled once."""
    home = project.TARGET / "dist-tools" / f"cargo-cyclonedx-{VERSION}"
    tool = home / "bin/cargo-cyclonedx"
    if not tool.exists():
        environment = {name: "" for name in ("CARGO_TARGET_DIR",) if name in os.environ}
        install = [project.cargo(), "install", "--locked", "--version", f"={VERSION}", "--root", home, "cargo-cyclonedx"]
        project.run(install, env=environment)
    return tool
