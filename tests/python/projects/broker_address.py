"""The broker of a suite: that of the fixture, or another one, to compare with."""

import os

import pytest


def address_of(request: pytest.FixtureRequest) -> str:
    """Returns the address that replaces the project's container."""
    other = os.environ.get("PROJECTS_BOOTSTRAP_SERVERS")
    return other or request.getfixturevalue("ottla_session").bootstrap_servers
