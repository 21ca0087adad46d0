"""The text of a Homebrew formula, which downloads the tarballs."""

import os

from . import project, sums, tarball

SOURCE = project.PACKAGES / "homebrew/ottla.rb"
CPUS = {"x86_64": "intel", "aarch64": "arm"}


def formula(all_programs, out):
    # The directory that the tarballs are published in.
    url = (os.environ.get("OTTLA_DOWNLOAD_URL") or "https://example.org/ottla").rstrip("/")
    tarballs = out.parent / "tarball"
    parts = []
    for program in all_programs:
        name = f"{tarball.name_of(program)}.tar.gz"
        if not (tarballs / name).exists():
            raise project.Failed(f"{tarballs / name} is missing: make the tarball first")
        sum_ = sums.sha256(tarballs / name)
        text = f'    url "{url}/{name}"\n    sha256 "{sum_}"'
        parts.append(f"  on_{CPUS[program.machine]} do\n{text}\n  end")
    out.mkdir(parents=True, exist_ok=True)
    text = SOURCE.read_text(encoding="utf-8")
    # `brew audit` refuses an article.
    description = project.description().split(":")[0].removeprefix("A ")
    described = {"{description}": description, "{url}": url, "{resources}": "\n".join(parts)}
    for name, value in described.items():
        text = text.replace(name, value)
    (out / "ottla.rb").write_text(text, encoding="utf-8")
    project.stamp(out / "ottla.rb")
