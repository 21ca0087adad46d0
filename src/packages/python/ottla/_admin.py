"""Requests to the admin port.

http.client is not used: importing it takes longer than starting a broker.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Dict, Mapping, Optional

from ._errors import AdminError, OttlaError

#: Seconds; far longer than a reset takes.
TIMEOUT = 60.0
#: Bytes; far more than any response has.
MAX_RESPONSE = 1 << 20


def post(
    url: str,
    path: str,
    body: Optional[Mapping[str, object]] = None,
    *,
    token: Optional[str] = None,
    ca: Optional["os.PathLike[str]"] = None,
) -> Dict[str, object]:
    """Send a request and return its response, a JSON object."""
    scheme, _, address = url.rstrip("/").partition("://")
    host, _, port = address.rpartition(":")
    content = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {address}",
        "X-Ottla-Admin: 1",
        f"Content-Length: {len(content)}",
        "Connection: close",
    ]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    request = "\r\n".join([*lines, "", ""]).encode() + content
    try:
        response = _exchange(scheme, host.strip("[]"), int(port), request, ca)
    except (OSError, ValueError) as error:
        raise OttlaError(f"no response of the broker's admin port at {url}: {error}") from error
    return _parse(url, response)


def _exchange(scheme: str, host: str, port: int, request: bytes, ca: Optional["os.PathLike[str]"]) -> bytes:
    with socket.create_connection((host, port), timeout=TIMEOUT) as plain:
        connection = plain
        if scheme == "https":
            import ssl

            context = ssl.create_default_context(cafile=None if ca is None else os.fspath(ca))
            connection = context.wrap_socket(plain, server_hostname=host)
        with connection:
            connection.sendall(request)
            response = b""
            while len(response) <= MAX_RESPONSE:
                part = connection.recv(65536)
                if not part:
                    break
                response += part
            return response


def _parse(url: str, response: bytes) -> Dict[str, object]:
    head, _, body = response.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    try:
        status = int(words[1])
        answer = json.loads(body)
    except (IndexError, ValueError):
        raise OttlaError(f"the broker's admin port at {url} sent an incomplete response: {response[:200]!r}") from None
    if not isinstance(answer, dict):
        raise OttlaError(f"the broker's admin port at {url} sent no JSON object: {body[:200]!r}")
    if status != 200:
        raise AdminError(status, str(answer.get("error", status)), str(answer.get("message", "")))
    return answer
