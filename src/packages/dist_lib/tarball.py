"""A tarball for any Linux: program, links, manual pages, completions, and the systemd unit. What else is installed by hand."""

import shutil

from . import archive, documents, licences, programs, project

README = """\
Ottla {version}

Copy bin, share and, for a broker that runs always, lib to a directory such as /usr/local. bin/kafka-topics and the other names
are links to bin/ottla. For the unit lib/systemd/system/ottla.service, also copy etc/ottla/server.properties to /etc/ottla,
add the user (useradd --system --home-dir /var/lib/ottla ottla), and set the path of the program in the unit.
"""


def tarballs(all_programs, out):
    for program in all_programs:
        name = name_of(program)
        root = project.fresh(project.WORK / name)
        fill(all_programs, program, root)
        shared = root / "share"
        directories = {
            "bash": shared / "bash-completion/completions",
            "zsh": shared / "zsh/site-functions",
            "fish": shared / "fish/vendor_completions.d",
        }
        documents.completions(all_programs, directories)
        documents.manual_pages(all_programs, shared / "man/man1")
        licences.copy_to(root)
        (root / "README").write_text(README.format(version=project.version()), encoding="utf-8")
        archive.tar_gz(out / f"{name}.tar.gz", root, name)


def name_of(program):
    return f"ottla-{project.version()}-{program.machine}-linux"


def fill(all_programs, program, root):
    programs.install(program, root / "bin/ottla")
    for tool in project.kafka_tools():
        (root / "bin" / tool).symlink_to("ottla")
    system = project.PACKAGES / "system"
    for source, goal in [("ottla.service", "lib/systemd/system"), ("server.properties", "etc/ottla")]:
        (root / goal).mkdir(parents=True)
        shutil.copyfile(system / source, root / goal / source)
