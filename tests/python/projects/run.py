"""Runs the test suite of another project with Ottla's fixture in place of the project's containers.

    python tests/python/projects/run.py arroyo --binary target/release/ottla
    python tests/python/projects/run.py faststream --source ~/src/faststream --binary target/release/ottla
    python tests/python/projects/run.py quixstreams --bootstrap-servers localhost:19092    # the same with Apache Kafka

Without --source, clones the project's repository, at the commit that README.md has results for. The clone and a virtual
environment are kept in target/projects. Prints the outcome of each test that is not passed, and the totals. Arguments after `--`
are passed to pytest. Exit code 1 if a test fails that is not in known-failures.tsv.
"""

import argparse
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
FASTSTREAM_TESTS = [
    f"tests/{subject}/{client}"
    for subject in ("brokers", "prometheus", "opentelemetry", "docs")
    for client in ("kafka", "confluent")
]
PYTEST = ["pytest==9.0.3", "pytest-timeout", "pytest-xdist"]
PROJECTS = {
    "arroyo": {
        "repository": "https://github.com/getsentry/arroyo",
        "commit": "1fa57c44d9f8a515bc9e0b76687b7e1a76c404d6",
        "install": ["-e", ".", "confluent-kafka>=2.13.2", "pytest-benchmark==4.0.0"],
        # Kip848: the consumer group protocol of KIP-848 is not implemented in Ottla.
        "tests": ["tests/backends", "-k", "not Kip848"],
    },
    "faststream": {
        "repository": "https://github.com/ag2ai/faststream",
        "commit": "7c9a125dfdf20cc45b64aac26b53559057443da1",
        "install": [
            *["-e", ".[kafka,confluent,cli,otel,prometheus]", "dirty-equals==0.11", "httpx==0.28.1", "pytest-asyncio==1.3.0"],
            *["pytest-rerunfailures", "fastapi", "PyYAML", "email-validator", "psutil", "pydantic-settings"],
        ],
        # The tests that its own CI runs with containers; test_misconfigure needs the clients of other message brokers.
        "tests": [*FASTSTREAM_TESTS, "-m", "(kafka or confluent) and connected", "--ignore-glob=*/test_misconfigure.py"],
    },
    "quixstreams": {
        "repository": "https://github.com/quixio/quix-streams",
        "commit": "dfb63318a6e4169d2e16b7479901159b49ee0f34",
        "install": [
            *["-r", "requirements.txt", "testcontainers==4.13.2", "docker>=7.1", "fastavro<2", "protobuf<7", "pandas<3"],
            *["psycopg2-binary", "redis<6", "pyarrow"],
        ],
        # The container has this id. Other services have no container here, and their clients are not installed.
        "tests": [
            *["tests", "--ottla-set", "node.id=0", "--ignore-glob=*/test_mqtt_sink.py"],
            *["--ignore-glob=*/test_influxdb_v3.py", "--ignore-glob=*/test_*postgres*.py"],
        ],
    },
}


def source_of(name, given):
    if given:
        return Path(given).resolve()
    project, folder = PROJECTS[name], ROOT / "target/projects" / name
    if not folder.exists():
        folder.mkdir(parents=True)
        for command in (
            ["init", "-q"],
            ["fetch", "-q", "--depth", "1", project["repository"], project["commit"]],
            ["checkout", "-q", "FETCH_HEAD"],
        ):
            subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def python_of(name, source):
    """Returns the interpreter of an environment with what the suite needs."""
    home = ROOT / "target/projects" / f"{name}-env"
    python, complete = home / "bin/python", home / "installed"
    if not complete.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        install = [python, "-m", "pip", "install", "--quiet", *PYTEST, *PROJECTS[name]["install"]]
        subprocess.run(install, cwd=source, check=True)
        complete.touch()
    return python


def known_failures(name):
    lines = (HERE / "known-failures.tsv").read_text().splitlines()[1:]
    rows = (line.split("\t") for line in lines)
    return {test: reason for project, test, reason in rows if project == name}


def outcomes(report):
    """Yields the name, outcome and message of each test."""
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        for outcome in ("failure", "error", "skipped"):
            found = case.find(outcome)
            if found is not None:
                yield name, outcome, " ".join((found.get("message") or "").split())[:150]
                break
        else:
            yield name, "passed", ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", choices=sorted(PROJECTS))
    parser.add_argument("--source", help="a checkout of the project")
    parser.add_argument("--python", help="an interpreter with all that the suite needs")
    parser.add_argument("--binary", help="the program ottla; default: OTTLA_BINARY or the PATH")
    parser.add_argument("--bootstrap-servers", help="another broker, to compare with")
    line = sys.argv[1:]
    split = line.index("--") if "--" in line else len(line)
    options, further = parser.parse_args(line[:split]), line[split + 1 :]
    source = source_of(options.project, options.source)
    python = options.python or python_of(options.project, source)
    paths = [HERE, ROOT / "src/packages/python", ROOT / "src/packages/pytest-ottla"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTEST_PLUGINS": "pytest_ottla.plugin"}
    if options.binary:
        environment["OTTLA_BINARY"] = str(Path(options.binary).resolve())
    if options.bootstrap_servers:
        environment["PROJECTS_BOOTSTRAP_SERVERS"] = options.bootstrap_servers
    report = ROOT / "target/projects" / f"{options.project}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    command = [python, "-m", "pytest", "-q", "-p", f"in_{options.project}", "--timeout", "120", f"--junitxml={report}"]
    subprocess.run([*command, *PROJECTS[options.project]["tests"], *further], cwd=source, env=environment, check=False)
    known, totals, unknown = known_failures(options.project), Counter(), 0
    for name, outcome, message in outcomes(report):
        totals[outcome] += 1
        if outcome != "passed":
            why = known.get(name)
            unknown += outcome in ("failure", "error") and why is None
            print(f"{outcome}\t{name}\t{why or message}")
    print(", ".join(f"{count} {outcome}" for outcome, count in totals.most_common()))
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
