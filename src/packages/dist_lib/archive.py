"""Archives whose bytes depend only on what is in them: times, owners and the order of files are fixed."""

import gzip
import tarfile
import time
import zipfile

from . import project


def tar_gz(path, directory, prefix):
    """Packs the directory as `prefix/…`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as zipped:
        with tarfile.open(mode="w", fileobj=zipped, format=tarfile.GNU_FORMAT) as tar:
            for found in [directory, *sorted(directory.rglob("*"))]:
                inside = found.relative_to(directory).as_posix()
                tar.add(found, prefix if inside == "." else f"{prefix}/{inside}", recursive=False, filter=_fixed)


def _fixed(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime = project.epoch()
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


def zip_file(path, directory, prefix):
    """Packs the files of the directory as `prefix/…`, without entries for directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    moment = time.gmtime(max(project.epoch(), 315_532_800))[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for found in sorted(path for path in directory.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(f"{prefix}/{found.relative_to(directory).as_posix()}", moment)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if found.stat().st_mode & 0o100 else 0o644) << 16
            archive.writestr(entry, found.read_bytes())
