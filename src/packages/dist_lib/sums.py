"""SHA-256 sums of everything in the directory, in the format of sha256sum."""

import hashlib

NAME = "SHA256SUMS"


def write(out):
    files = sorted(path for path in out.rglob("*") if path.is_file() and path != out / NAME)
    lines = [f"{sha256(path)}  {path.relative_to(out).as_posix()}\n" for path in files]
    out.mkdir(parents=True, exist_ok=True)
    (out / NAME).write_text("".join(lines), encoding="utf-8")


def sha256(path):
    sum_ = hashlib.sha256()
    with open(path, "rb") as file:
        for part in iter(lambda: file.read(1 << 20), b""):
            sum_.update(part)
    return sum_.hexdigest()
