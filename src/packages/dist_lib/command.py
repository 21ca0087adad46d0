"""The command line."""

import argparse
import os
import shutil

from . import deb, go, homebrew, image, licences, maven, npm, programs, project, sbom, sums, tarball, wheel

# In this order; each makes its files in a directory of target/dist that has its name.
KINDS = {
    "wheel": (wheel.wheels, "Python wheels with the program"),
    "pytest": (wheel.pytest_plugin, "the pytest plug-in"),
    "npm": (npm.packages, "npm packages"),
    "maven": (maven.artifact, "the JUnit extension"),
    "go": (go.module, "the Go module"),
    "deb": (deb.packages, "Debian packages"),
    "tarball": (tarball.tarballs, "tarballs with manual pages and completions"),
    "homebrew": (homebrew.formula, "the formula that downloads the tarballs"),
    "image": (image.archive, "the container image"),
    "sbom": (sbom.bill, "the software bill of materials"),
    "licences": (licences.release_file, "the licences of everything that is linked into the program"),
}


def main(words):
    # Permissions of what is packed do not depend on the user.
    os.umask(0o022)
    arguments = parser().parse_args(words)
    everything = not arguments.kinds
    machines = arguments.target or (["x86_64", "aarch64"] if everything and not arguments.binary else [])
    out = arguments.out or project.TARGET / "dist"
    failures = []
    try:
        all_programs = programs.Programs(machines, arguments.binary or [])
    except project.Failed as failed:
        print(f"dist: {failed}")
        return 1
    for kind in arguments.kinds or KINDS:
        if kind == "sums":
            continue
        print(f"{kind}: {KINDS[kind][1]}", flush=True)
        directory = out / kind
        shutil.rmtree(directory, ignore_errors=True)
        try:
            KINDS[kind][0](all_programs, directory)
        except project.Failed as failed:
            failures.append(kind)
            print(f"{kind}: failed: {failed}", flush=True)
            continue
        for path in sorted(path for path in directory.rglob("*") if path.is_file()):
            print(f"  {path}  {path.stat().st_size:,} bytes", flush=True)
    sums.write(out)
    if all_programs.missing:
        failures.append(f"everything for {', '.join(all_programs.missing)}")
    if failures:
        print(f"incomplete: without {', '.join(failures)}")
    return 1 if failures else 0


def parser():
    lines = [f"  {name:10} {what}" for name, (_, what) in KINDS.items()]
    lines.append("  sums       SHA-256 sums of all that is in target/dist; written by every run")
    own = argparse.ArgumentParser(
        prog="dist",
        description="Makes everything that Ottla is installed from, in target/dist. docs/RELEASING.md describes it.",
        epilog="kinds:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    own.add_argument("kinds", metavar="kind", nargs="*", type=kind, help="what to make; else everything, for both machines")
    own.add_argument(
        "--binary", action="append", type=project.absolute, metavar="PATH", help="pack this program, instead of building one"
    )
    own.add_argument("--target", action="append", choices=["x86_64", "aarch64"], help="the machine; this one by default")
    own.add_argument("--out", type=project.absolute, metavar="DIR", help="instead of target/dist")
    return own


def kind(text):
    if text not in KINDS and text != "sums":
        raise argparse.ArgumentTypeError(f"there is no kind {text}; the kinds are {', '.join([*KINDS, 'sums'])}")
    return text
