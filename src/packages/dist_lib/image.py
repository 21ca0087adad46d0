"""The container image for both machines, as one archive in the format of OCI, which registries and engines read.

Docker builds the file system from docker/Dockerfile, around programs that are built here. Times in it are then fixed, so the
same sources, program and packages of the base system give the same bytes."""

import contextlib
import gzip
import hashlib
import io
import json
import shutil
import tarfile
import time
import uuid

from . import licences, programs, project

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def archive(all_programs, out):
    project.need("docker", "a Docker engine with BuildKit")
    blobs = Blobs(project.fresh(project.WORK / "image"))
    images = [one(program, blobs) for program in all_programs]
    if not images:
        raise project.Failed("there is no program for it")
    index = blobs.add(to_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": images}), INDEX)
    name = {"org.opencontainers.image.ref.name": project.version()}
    blobs.root_file("index.json", {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**index, "annotations": name}]})
    blobs.root_file("oci-layout", {"imageLayoutVersion": "1.0.0"})
    # For `docker load` of engines that know only Docker's own format: the first image.
    manifest = json.loads(blobs.read(images[0]))
    paths = [f"blobs/sha256/{part['digest'][7:]}" for part in [manifest["config"], *manifest["layers"]]]
    docker = {"Config": paths[0], "RepoTags": [f"ottla:{project.version()}"], "Layers": paths[1:]}
    blobs.root_file("manifest.json", [docker])
    out.mkdir(parents=True, exist_ok=True)
    plain_tar(out / f"ottla-{project.version()}-oci.tar", blobs.directory)


def one(program, blobs):
    """Builds the image for one machine, and returns its entry in the index."""
    given = project.fresh(project.WORK / f"image-program-{program.debian}")
    programs.install(program, given / "ottla")
    (given / "licences").mkdir()
    licences.copy_own_to(given / "licences")
    with open(given / "licences" / (licences.NAME + ".gz"), "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as zipped:
        zipped.write(licences.file().read_bytes())
    tag = f"ottla-dist-{uuid.uuid4().hex}"
    saved = project.WORK / f"image-{program.debian}.tar"
    command = ["docker", "build", "--quiet", "--platform", f"linux/{program.debian}", "--provenance=false"]
    project.run([*command, "--build-context", f"build={given}", "--tag", tag, "--file", "docker/Dockerfile", "."])
    try:
        project.run(["docker", "save", "--output", saved, tag])
    finally:
        with contextlib.suppress(project.Failed):
            project.run(["docker", "image", "rm", "--force", tag])
    with tarfile.open(saved) as tar:
        entry = json.load(tar.extractfile("manifest.json"))[0]
        config = json.load(tar.extractfile(entry["Config"]))
        layers = [layer(tar.extractfile(path), blobs) for path in entry["Layers"]]
    saved.unlink()
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(project.epoch()))
    config["created"] = created
    config["rootfs"]["diff_ids"] = [sum_ for _, sum_ in layers]
    for step in config.get("history", []):
        step["created"] = created
    config["config"].setdefault("Labels", {})["org.opencontainers.image.version"] = project.version()
    described = blobs.add(to_json(config), CONFIG)
    content = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": [entry for entry, _ in layers]}
    return {**blobs.add(to_json(content), MANIFEST), "platform": {"architecture": program.debian, "os": "linux"}}


def layer(file, blobs):
    """Returns the layer's entry in the manifest, and the sum of its content before compression, with fixed times."""
    fixed = io.BytesIO()
    content = file.read()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    with tarfile.open(fileobj=io.BytesIO(content)) as old, tarfile.open(mode="w", fileobj=fixed, format=tarfile.PAX_FORMAT) as new:
        for entry in old:
            entry.mtime = min(int(entry.mtime), project.epoch())
            for name in ("mtime", "atime", "ctime"):
                entry.pax_headers.pop(name, None)
            new.addfile(entry, old.extractfile(entry) if entry.isreg() else None)
    content = fixed.getvalue()
    return blobs.add(gzip.compress(content, 9, mtime=0), LAYER), f"sha256:{hashlib.sha256(content).hexdigest()}"


class Blobs:
    """A directory in OCI's layout: files named by their sums."""

    def __init__(self, directory):
        self.directory = directory
        (directory / "blobs/sha256").mkdir(parents=True)

    def add(self, content, media_type):
        """Writes a blob, and returns what refers to it."""
        sum_ = hashlib.sha256(content).hexdigest()
        (self.directory / "blobs/sha256" / sum_).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{sum_}", "size": len(content)}

    def read(self, entry):
        return (self.directory / "blobs/sha256" / entry["digest"][7:]).read_bytes()

    def root_file(self, name, content):
        (self.directory / name).write_bytes(to_json(content))


def to_json(content):
    return json.dumps(content, separators=(",", ":")).encode()


def plain_tar(path, directory):
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for found in sorted(directory.rglob("*")):
            if found.is_file():
                entry = tarfile.TarInfo(found.relative_to(directory).as_posix())
                entry.size, entry.mtime, entry.mode = found.stat().st_size, project.epoch(), 0o644
                with open(found, "rb") as content:
                    tar.addfile(entry, content)
    shutil.rmtree(directory)
