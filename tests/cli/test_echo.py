from __future__ import annotations

import json
import socket

import attrs
import pytest

from pacs_sdk.integration.config import PacsConfig
from pacs_sdk.integration.pacs import Pacs
from tests.cli.helpers import address, failed, pacs, succeeded


@pytest.fixture
def pacs_config(pacs_config: PacsConfig) -> PacsConfig:
    """Make the server insist on its AE title."""
    strict = attrs.evolve(pacs_config.server, ae_title="ARCHIVE", require_called_ae_title=True)
    return attrs.evolve(pacs_config, server=strict)


def test_a_peer_that_answers(pacs_server: Pacs) -> None:
    """Exit code 0 and one line with the times."""
    text = succeeded(pacs("echo", *address(pacs_server.peer), "--aec", "ARCHIVE"))
    (line,) = text.splitlines()
    assert line.startswith(f"ARCHIVE at 127.0.0.1 port {pacs_server.port} answered: association ")


def test_an_unknown_ae_title(pacs_server: Pacs) -> None:
    """A server that refuses the called AE title is quoted, and the option to change named."""
    line = failed(pacs("echo", *address(pacs_server.peer), "--aec", "SOMEONE_ELSE"))
    assert "does not recognize the called AE title" in line
    assert "--aec" in line


def test_nothing_listens() -> None:
    """A refused connection says where, and what to check."""
    with socket.socket() as bound:  # holds the port and does not listen on it
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        line = failed(pacs("echo", "127.0.0.1", port))
    assert f"127.0.0.1 port {port}" in line
    assert "Connection refused" in line
    assert "check the host, the port" in line


def test_an_unknown_host() -> None:
    """A name that does not resolve is said to be the reason."""
    line = failed(pacs("echo", "pacs.invalid", 104))
    assert "cannot connect to pacs.invalid port 104" in line


def test_a_peer_that_is_silent() -> None:
    """A peer that takes the connection and never answers ends the wait after --timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        line = failed(pacs("echo", "127.0.0.1", port, "--timeout", "0.05"))
    assert "did not answer the association request in time" in line
    assert "--timeout" in line


def test_steps_show_how_long_each_took(pacs_server: Pacs) -> None:
    """One line a step; without TLS it has no line."""
    text = succeeded(pacs("echo", *address(pacs_server.peer), "--aec", "ARCHIVE", "--steps"))
    assert [line.split("\t")[0] for line in text.splitlines()] == [
        "connection",
        "association",
        "C-ECHO",
    ]
    assert "not reached" not in text


def test_steps_show_how_far_it_came(pacs_server: Pacs) -> None:
    """A rejected association was connected; the state is the first word of the error."""
    result = pacs("echo", *address(pacs_server.peer), "--aec", "SOMEONE", "--steps")
    assert failed(result).startswith("pacs: rejected: SOMEONE at 127.0.0.1 port ")
    _, association, echo = result.stdout.splitlines()
    assert association == "association\tnot reached"
    assert echo == "C-ECHO\tnot reached"


def test_a_monitor_reads_json(pacs_server: Pacs) -> None:
    """State, reason and times, whether the peer is well or not; the exit code says which."""
    well = json.loads(
        succeeded(pacs("echo", *address(pacs_server.peer), "--aec", "ARCHIVE", "--json"))
    )
    assert (well["healthy"], well["state"], well["ae_title"]) == (True, "healthy", "ARCHIVE")
    assert well["connect_s"] + well["association_s"] + well["echo_s"] > 0
    assert well["tls_s"] is None
    result = pacs("echo", "pacs.invalid", 104, "--json")
    failed(result)
    ill = json.loads(result.stdout)
    assert (ill["healthy"], ill["state"], ill["connect_s"]) == (False, "name-unknown", None)
    assert "cannot connect to pacs.invalid" in ill["reason"]
