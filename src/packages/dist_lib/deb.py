"""The Debian package: program, Kafka's tools, manual pages, completions, and a broker as a system service."""

import gzip
import os
import re
import shutil
import textwrap
from email.utils import formatdate

from . import documents, licences, programs, project

SOURCES = project.PACKAGES / "debian"
SYSTEM = project.PACKAGES / "system"
MAINTAINER = os.environ.get("OTTLA_MAINTAINER") or "Ottla maintainers <ottla@localhost>"


def packages(all_programs, out):
    project.need("dpkg-deb", "dpkg")
    for program in all_programs:
        root = project.fresh(project.WORK / f"deb-{program.debian}")
        fill(all_programs, program, root)
        control(program, root)
        for path in root.rglob("*"):
            if not path.is_symlink():
                scripts = path.parent.name == "DEBIAN" and path.name in ("postinst", "prerm", "postrm")
                os.chmod(path, 0o755 if path.is_dir() or scripts or path == root / "usr/bin/ottla" else 0o644)
        out.mkdir(parents=True, exist_ok=True)
        goal = out / f"ottla_{project.version()}_{program.debian}.deb"
        # Times of files are set to this one where they are later.
        project.run(
            ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, goal], env={"SOURCE_DATE_EPOCH": project.epoch()}
        )


def fill(all_programs, program, root):
    programs.install(program, root / "usr/bin/ottla")
    for tool in project.kafka_tools():
        (root / "usr/bin" / tool).symlink_to("ottla")
    copy(SYSTEM / "server.properties", root / "etc/ottla/server.properties")
    copy(SYSTEM / "ottla.service", root / "lib/systemd/system/ottla.service")
    copy(SOURCES / "lintian-overrides", root / "usr/share/lintian/overrides/ottla")
    shared = root / "usr/share"
    documents.completions(
        all_programs,
        {
            "bash": shared / "bash-completion/completions",
            "zsh": shared / "zsh/vendor-completions",
            "fish": shared / "fish/vendor_completions.d",
        },
    )
    documents.manual_pages(all_programs, shared / "man/man1")
    for page in sorted((shared / "man/man1").iterdir()):
        zipped(page)
    about = shared / "doc/ottla"
    copy(SOURCES / "copyright", about / "copyright")
    project.stamp(about / "copyright")
    shutil.copyfile(licences.file(), about / licences.NAME)
    (about / "changelog").write_text(changelog(), encoding="utf-8")
    zipped(about / licences.NAME)
    zipped(about / "changelog")


def control(program, root):
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    values = {"{architecture}": program.debian, "{maintainer}": MAINTAINER, "{size}": str(-(-size // 1024))}
    text = (SOURCES / "control").read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(name, value)
    directory = root / "DEBIAN"
    directory.mkdir()
    (directory / "control").write_text(text, encoding="utf-8")
    project.stamp(directory / "control")
    (directory / "conffiles").write_text("/etc/ottla/server.properties\n", encoding="utf-8")
    for script in ("postinst", "prerm", "postrm"):
        shutil.copyfile(SOURCES / script, directory / script)
    sums = [
        f"{project.md5(path)}  {path.relative_to(root).as_posix()}\n"
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink() and directory not in path.parents
    ]
    (directory / "md5sums").write_text("".join(sums), encoding="utf-8")


def changelog():
    head = f"ottla ({project.version()}) stable; urgency=medium"
    wrap = {"width": 79, "initial_indent": "  * ", "subsequent_indent": "    ", "break_long_words": False}
    entries = "\n".join(textwrap.fill(change, **wrap) for change in changes())
    date = formatdate(project.epoch()).replace("-0000", "+0000")
    return f"{head}\n\n{entries}\n\n -- {MAINTAINER}  {date}\n"


def changes():
    """Returns the changes of this version from docs/CHANGELOG.md, without links; before the release, those that are not released."""
    sections = (project.ROOT / "docs/CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1:]
    headed = {section.split("\n", 1)[0].split()[0].strip("[]"): section for section in sections}
    section = headed.get(project.version()) or headed.get("Unreleased") or ""
    found = [" ".join(change.split()) for change in section.split("\n- ")[1:]]
    return [re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", change) for change in found] or ["docs/CHANGELOG.md lists the changes."]


def copy(source, goal):
    goal.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, goal)


def zipped(path):
    """Compresses the file, as Debian's policy wants it, without name and time."""
    with open(path.with_name(path.name + ".gz"), "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as out:
        out.write(path.read_bytes())
    path.unlink()
