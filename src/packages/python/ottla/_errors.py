"""The exceptions of this package."""

from __future__ import annotations


class OttlaError(Exception):
    """An operation on a broker failed."""


class BinaryNotFoundError(OttlaError, FileNotFoundError):
    """The program `ottla` was not found; the text lists what was tried."""


class StartError(OttlaError):
    """The broker did not start; the text has the broker's own line."""


class AdminError(OttlaError):
    """The broker refused a request to its admin port."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(f"{error}: {message}" if message else error)
        #: The HTTP status.
        self.status = status
        #: Kafka's name of the error, such as TOPIC_ALREADY_EXISTS, or a text.
        self.error = error
