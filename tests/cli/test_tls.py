from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

from pacs_sdk.cli.tls_options import KEY_PASSWORD_VARIABLE, TlsProfileName
from pacs_sdk.encoding import read_file
from pacs_sdk.integration.config import PacsConfig
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import TlsProfile
from tests.cli.helpers import SERIES, address, failed, pacs, refused, succeeded, values_by_uid
from tests.network.certificates import Identity
from tests.network.tls_peers import Pki

FIRST = min(SERIES.iterdir())
STUDY = read_file(FIRST).unwrap().header().unwrap().text("StudyInstanceUID")


@pytest.fixture(scope="module", name="pki")
def _pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Make certificates once."""
    return Pki.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def pacs_config(pacs_config: PacsConfig, pki: Pki) -> PacsConfig:
    """Make the server demand TLS, and a certificate of every client."""
    return attrs.evolve(pacs_config, server=attrs.evolve(pacs_config.server, tls=pki.mutual_tls))


def known(pki: Pki, identity: Identity | None = None) -> tuple[object, ...]:
    """Options with which the server is trusted, and we are by it."""
    who = identity or pki.client
    return (
        *("--tls", "--ca-file", pki.ca.certificate),
        *("--cert-file", who.certificate, "--key-file", who.private_key),
    )


def test_profiles_are_those_of_the_network() -> None:
    """The values of --tls-profile are the profiles that the SDK has."""
    assert [one.value for one in TlsProfileName] == [one.value for one in TlsProfile]


def test_every_command_that_calls_a_peer_speaks_tls(
    pki: Pki, pacs_server: Pacs, tmp_path: Path
) -> None:
    """An image goes in, is found and comes back over mutual TLS, byte for byte."""
    to, secure = address(pacs_server.peer), known(pki)
    succeeded(pacs("echo", *to, *secure))
    assert "stored 1 of 1" in succeeded(pacs("store", *to, FIRST, *secure))
    assert STUDY in succeeded(pacs("find", *to, *secure, "-k", "StudyInstanceUID"))
    succeeded(pacs("get", *to, *secure, "--out", tmp_path, "-k", f"StudyInstanceUID={STUDY}"))
    (came,) = values_by_uid(tmp_path).values()
    assert came == values_by_uid(SERIES)[str(came.SOPInstanceUID)]


@pytest.mark.parametrize("profile", list(TlsProfileName))
def test_each_profile_reaches_the_server(
    pki: Pki, pacs_server: Pacs, profile: TlsProfileName
) -> None:
    """A server of BCP 195 speaks with all of them."""
    succeeded(pacs("echo", *address(pacs_server.peer), *known(pki), "--tls-profile", profile))


def test_who_is_not_trusted_is_told_apart(pki: Pki, pacs_server: Pacs) -> None:
    """No certificate of ours, a stranger's, and a server of another CA: one line each."""
    to = address(pacs_server.peer)
    without = failed(pacs("echo", *to, "--tls", "--ca-file", pki.ca.certificate))
    assert "certificate" in without
    assert "certificate" in failed(pacs("echo", *to, *known(pki, pki.stranger)))
    other = failed(pacs("echo", *to, "--tls", "--ca-file", pki.other_ca.certificate))
    assert "not trusted" in other


def test_the_name_in_the_certificate(pki: Pki, pacs_server: Pacs) -> None:
    """The host is looked for unless another name is given, or none is to be looked for."""
    to = address(pacs_server.peer)
    wrong = failed(pacs("echo", *to, *known(pki), "--tls-host", "archive.example"))
    assert "archive.example" in wrong
    succeeded(pacs("echo", *to, *known(pki), "--tls-host", "localhost"))


def test_a_name_that_is_not_looked_at(pki: Pki, pacs_config: PacsConfig, tmp_path: Path) -> None:
    """--no-host-check takes a trusted certificate of another host, and only that option does."""
    elsewhere = pki.ca.issue("elsewhere", hosts=["elsewhere.example"])
    tls = attrs.evolve(
        pki.server_tls, certificate=elsewhere.certificate, private_key=elsewhere.private_key
    )
    config = attrs.evolve(pacs_config, server=attrs.evolve(pacs_config.server, tls=tls))
    with Pacs.configured(config) as server:
        secure = (*address(server.peer), "--tls", "--ca-file", pki.ca.certificate)
        assert "127.0.0.1" in failed(pacs("echo", *secure))
        succeeded(pacs("echo", *secure, "--no-host-check"))


def test_an_encrypted_key_is_opened_by_a_variable(
    pki: Pki, pacs_server: Pacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the password the failure says so; the command line never has it."""
    locked = pki.ca.issue("locked", password="sesame")
    arguments = ("echo", *address(pacs_server.peer), *known(pki, locked))
    assert "is encrypted" in failed(pacs(*arguments))
    monkeypatch.setenv(KEY_PASSWORD_VARIABLE, "sesame")
    succeeded(pacs(*arguments))


def test_a_file_that_is_not_there(pki: Pki, pacs_server: Pacs, tmp_path: Path) -> None:
    """The failure names it."""
    missing = tmp_path / "nowhere.pem"
    line = failed(pacs("echo", *address(pacs_server.peer), "--tls", "--ca-file", missing))
    assert str(missing) in line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--ca-file", "ca.pem"], "--ca-file: it has an effect only with --tls"),
        (["--cert-file", "a", "--no-host-check"], "--cert-file, --no-host-check: it has an effect"),
        (["--tls", "--cert-file", "a.pem"], "give --key-file, too"),
        (["--tls", "--key-file", "a.key"], "give --cert-file, too"),
        (["--tls", "--tls-host", "a", "--no-host-check"], "leave one of the two out"),
        (["--tls", "--tls-host", ""], "the server host name for TLS cannot be ''"),
        (["--tls", "--tls-profile", "ssl-3"], "'ssl-3'"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ["echo"],
        ["store", str(FIRST)],
        ["find"],
        ["get", "--out", "out", "-k", f"StudyInstanceUID={STUDY}"],
    ],
    ids=lambda command: command[0],
)
def test_options_that_contradict_each_other(
    command: Sequence[str], options: Sequence[str], words: str
) -> None:
    """They are bad usage: exit code 2, in words, before anybody is called."""
    name, *rest = command
    assert words in refused(pacs(name, "host.invalid", "104", *rest, *options))
