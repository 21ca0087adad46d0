"""A broker of a case's own, which the case kills and restarts. Needs the argument `--ottla=PATH`; without it, as against
Apache Kafka, such cases are left out."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile

from suite import wait_until


def bootstrap_of_this_process():
    return sys.argv[1]


@contextlib.contextmanager
def started(*settings):
    """A started broker, or None if the program was not given one."""
    programs = [argument[len("--ottla=") :] for argument in sys.argv if argument.startswith("--ottla=")]
    if not programs:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="ottla-own-") as directory:
        broker = OwnBroker(programs[0], directory, settings)
        try:
            yield broker
        finally:
            broker.kill()


class OwnBroker:
    def __init__(self, program, directory, settings):
        self.program, self.directory, self.settings = program, directory, settings
        self.port, self.process = 0, None
        self.start()

    def start(self):
        """Starts the broker on its directory and the port that it had before, and waits until it is ready."""
        ready = os.path.join(self.directory, "ready.json")
        with contextlib.suppress(FileNotFoundError):
            os.remove(ready)  # a killed broker leaves it
        command = [self.program, "--port", str(self.port), "--data-dir", os.path.join(self.directory, "data")]
        command += ["--ready-file", ready, "--exit-with-parent"]
        command += [argument for setting in self.settings for argument in ("--set", setting)]
        with open(os.path.join(self.directory, "log"), "a") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        wait_until(lambda: os.path.exists(ready) or self.process.poll() is not None, "the broker is ready", 30)
        if self.process.poll() is not None:
            raise AssertionError(f"the broker ended:\n{self.log()}")
        with open(ready) as file:
            self.bootstrap = json.load(file)["bootstrap_servers"]
        self.port = int(self.bootstrap.rsplit(":", 1)[1])

    def kill(self):
        """Kills the process (SIGKILL), and waits for its end."""
        self.process.kill()
        self.process.wait()

    def restart(self):
        self.kill()
        self.start()

    def log(self):
        with open(os.path.join(self.directory, "log")) as log:
            return log.read()
