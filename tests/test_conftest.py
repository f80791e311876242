"""The guards around the tests do what they promise."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

GUARD = "NetworkForbidden"


@pytest.mark.parametrize("address", [("192.0.2.1", 104), ("2001:db8::1", 104)])
def test_connecting_to_another_machine_fails_the_test(address: tuple[str, int]) -> None:
    """A connection to another machine raises at once, and not as an ``OSError``."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as sock, pytest.raises(BaseException, match="loopback") as caught:
        sock.connect(address)
    assert caught.typename == GUARD
    assert not isinstance(caught.value, Exception)


def test_looking_up_a_name_fails_the_test() -> None:
    """No name but this machine's own is looked up; ``.invalid`` fails as the resolver would."""
    with pytest.raises(BaseException, match="loopback") as caught:
        socket.create_connection(("pacs.example", 104), timeout=1)
    assert caught.typename == GUARD
    with pytest.raises(socket.gaierror):
        socket.create_connection(("pacs.invalid", 104), timeout=1)


def test_loopback_stays_open() -> None:
    """Tests may connect to servers on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("localhost", port), timeout=5) as client:
            assert client.getpeername() == ("127.0.0.1", port)


_PEER_TEST = """
import pytest

@pytest.mark.interop("no-such-program")
def test_peer():
    raise AssertionError("never reached")
"""


@pytest.mark.parametrize(("required", "outcome"), [("0", "1 skipped"), ("1", "1 error")])
def test_missing_peer_skips_here_and_fails_in_ci(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, required: str, outcome: str
) -> None:
    """A test whose foreign program is missing skips, or fails under PACS_REQUIRE_PEERS=1."""
    (tmp_path / "conftest.py").write_text(Path(__file__).with_name("conftest.py").read_text())
    (tmp_path / "test_peer.py").write_text(_PEER_TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = interop(*programs): peers\n")
    monkeypatch.setenv("PACS_REQUIRE_PEERS", required)
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", str(tmp_path)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert outcome in run.stdout
    assert "no no-such-program" in run.stdout
