"""Measures the Python packages, and a suite of 200 tests beside Apache Kafka. Prints Markdown.

    python benches/python/figures.py --binary target/release/ottla
    python benches/python/figures.py --binary target/release/ottla --kafka-libs /opt/kafka/libs
    python benches/python/figures.py --binary target/release/ottla --kafka-broker 20

Needs the packages of tests/python/requirements-pytest-today.txt. `--kafka-libs` is a folder with the jars of Apache Kafka, which is
started once for each worker: what Testcontainers does, without Docker. `--kafka-broker` runs the first N tests with
pytest-kafka-broker, which must be installed with its Kafka; it starts a broker for each test. Not in parallel: its workers choose
the same port, 9092 if it is free. Use an idle machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = [ROOT / "src/packages/python", ROOT / "src/packages/pytest-ottla"]
SUITE = ROOT / "tests/python/two_hundred/test_orders.py"
HERE = Path(__file__).parent


def environment(options):
    paths = os.pathsep.join(map(str, PACKAGES))
    return {**os.environ, "PYTHONPATH": paths, "OTTLA_BINARY": str(Path(options.binary).resolve())}


def first_record(options):
    runs = []
    for _ in range(options.runs + 1):
        command = [sys.executable, HERE / "first_record.py"]
        output = subprocess.run(command, env=environment(options), check=True, capture_output=True, text=True)
        runs.append(json.loads(output.stdout))
    print("| From `import ottla` to a consumed record | median ms |\n|---|---|")
    for part in runs[0]:
        # The first run reads the files from the disk.
        print(f"| {part} | {statistics.median(run[part] for run in runs[1:]):.1f} |")


def resets(options):
    sys.path[:0] = map(str, PACKAGES)
    import ottla

    print("\n| Call, seen from Python | median ms | 99 % |\n|---|---|---|")
    with ottla.Broker(binary=options.binary, topics={f"topic-{number}": 3 for number in range(10)}) as broker:
        show("reset, with 10 topics of 3 partitions", lambda: broker.reset(), 500)
        names = (f"new-{number}" for number in range(1000))
        show("create a topic", lambda: broker.create_topic(next(names)), 100)
        show("restart", broker.restart, 20)
    stopped = ottla.Broker(binary=options.binary)
    show("start and stop", lambda: (stopped.start(), stopped.stop()), 20)


def show(name, call, count):
    times = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1000)
    times.sort()
    print(f"| {name} | {statistics.median(times):.2f} | {times[int(len(times) * 0.99)]:.2f} |")


def suites(options):
    print("\n| 200 tests with a producer and a consumer, `pytest -n 4` | seconds |\n|---|---|")
    print(f"| pytest-ottla | {suite(options, ['-p', 'pytest_ottla.plugin'])} |")
    if options.kafka_libs:
        extra = {"KAFKA_LIBS": str(Path(options.kafka_libs).resolve())}
        print(f"| Apache Kafka, one process for each worker | {suite(options, [], HERE / 'kafka_suite', extra)} |")
    if options.kafka_broker:
        count = options.kafka_broker
        chosen = ["--kafka", "-k", " or ".join(f"arrives[{number}]" for number in range(count))]
        seconds = suite(options, [*chosen, "-n", "0"], HERE / "kafka_broker_suite")
        print(f"| pytest-kafka-broker, {count} of the tests, one after the other | {seconds} |")


def suite(options, arguments, folder=None, extra=None):
    """Returns the wall time of the suite, with the conftest.py of a folder."""
    with tempfile.TemporaryDirectory(prefix="figures-") as directory:
        for source in [SUITE, *([folder / "conftest.py"] if folder else [])]:
            (Path(directory) / source.name).write_text(source.read_text())
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "4", *arguments, "."]
        began = time.perf_counter()
        done = subprocess.run(
            command, cwd=directory, env={**environment(options), **(extra or {})}, capture_output=True, text=True
        )
        seconds = time.perf_counter() - began
    last = (done.stdout.strip().splitlines() or [""])[-1]
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return f"{seconds:.1f} ({last})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help="a release build of ottla")
    parser.add_argument("--kafka-libs", help="a folder with Apache Kafka's jars")
    parser.add_argument("--kafka-broker", type=int, default=0, metavar="N")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", choices=["calls", "suites"])
    options = parser.parse_args()
    if options.only != "suites":
        first_record(options)
        resets(options)
    if options.only != "calls":
        suites(options)


if __name__ == "__main__":
    main()
