"""Sets client quotas with `kafka-configs`, because neither Python client can. Needs the argument `--ottla=PATH`, whose
`kafka-configs` works with Apache Kafka too."""

import subprocess
import sys


def set_quota(bootstrap, entity, **quotas):
    """Sets quotas of an entity, such as ["--entity-type", "clients", "--entity-name", "c"]."""
    added = ",".join(f"{name}={value}" for name, value in quotas.items())
    _kafka_configs(bootstrap, *entity, "--alter", "--add-config", added)


def remove_quotas(bootstrap, entity, *names):
    _kafka_configs(bootstrap, *entity, "--alter", "--delete-config", ",".join(names))


def client_id(name):
    return ["--entity-type", "clients", "--entity-name", name]


def user(name):
    return ["--entity-type", "users", "--entity-name", name]


def _kafka_configs(bootstrap, *arguments):
    programs = [argument[len("--ottla=") :] for argument in sys.argv if argument.startswith("--ottla=")]
    if not programs:
        sys.exit("quotas need --ottla=PATH")
    command = [programs[0], "kafka-configs", "--bootstrap-server", bootstrap, *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
