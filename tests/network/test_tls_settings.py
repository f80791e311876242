"""TLS profiles and files: what a context is made of, and what is wrong with it in words."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Failure, Success
from pacs_sdk.network.tls import ClientTls, ServerTls, ServerTlsContext, TlsProfile
from pacs_sdk.network.tls.settings import client_context, server_context
from pacs_sdk.testing import FakeClock, RecordingLogger
from tests.network.certificates import Identity
from tests.network.tls_peers import TIMEOUT_S, Pki, open_line


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Issue certificates for this module."""
    return Pki.make(tmp_path_factory.mktemp("pki"))


# -- profiles --------------------------------------------------------------------------------------

ECDHE = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",  # TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, RFC 9325 4.2
    "ECDHE-ECDSA-AES256-GCM-SHA384",  # TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, RFC 9325 4.2
    "ECDHE-RSA-AES128-GCM-SHA256",  # TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, RFC 9325 4.2, B.10
    "ECDHE-RSA-AES256-GCM-SHA384",  # TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, RFC 9325 4.2, B.10
]
DHE = [
    "DHE-RSA-AES128-GCM-SHA256",  # TLS_DHE_RSA_WITH_AES_128_GCM_SHA256, B.10, B.11
    "DHE-RSA-AES256-GCM-SHA384",  # TLS_DHE_RSA_WITH_AES_256_GCM_SHA384, B.10, B.11
]
V1_2, V1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize(
    ("profile", "versions", "suites"),
    [
        pytest.param(TlsProfile.BCP_195, (V1_2, V1_3), ECDHE, id="B.12"),
        pytest.param(TlsProfile.NON_DOWNGRADING, (V1_2, V1_3), ECDHE + DHE, id="B.10"),
        pytest.param(TlsProfile.EXTENDED, (V1_2, V1_2), ECDHE + DHE, id="B.11"),
    ],
)
def test_a_profile_allows_its_versions_and_suites_and_no_others(
    pki: Pki,
    profile: TlsProfile,
    versions: tuple[ssl.TLSVersion, ssl.TLSVersion],
    suites: list[str],
) -> None:
    """Both sides get exactly what PS3.15 lists, as OpenSSL itself reports it."""
    for context in (
        server_context(attrs.evolve(pki.server_tls, profile=profile)),
        client_context(attrs.evolve(pki.client_tls, profile=profile)),
    ):
        assert (context.minimum_version, context.maximum_version) == versions
        names = [suite["name"] for suite in context.get_ciphers() if suite["protocol"] != "TLSv1.3"]
        assert names == suites
        assert context.security_level == 2
        assert context.options & ssl.OP_NO_RENEGOTIATION
        assert context.options & ssl.OP_NO_COMPRESSION


def test_tls_1_3_alone_has_no_suites_of_1_2() -> None:
    """What OpenSSL is given as a placeholder is ruled out by the version."""
    profile: TlsProfile = TlsProfile.TLS_1_3_ONLY
    context = client_context(ClientTls(profile=profile))
    assert (context.minimum_version, context.maximum_version) == (V1_3, V1_3)
    assert profile.cipher_suites == ()
    assert profile.versions_in_words == "TLS 1.3"
    assert TlsProfile.BCP_195.versions_in_words == "TLS 1.2 or 1.3"


def test_without_a_ca_of_its_own_a_client_trusts_whom_the_system_trusts() -> None:
    """Certificate and host name are demanded there, too."""
    context = client_context(ClientTls())
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


# -- files -----------------------------------------------------------------------------------------


def _loaded(tls: ServerTls | ClientTls) -> PacsException:
    with pytest.raises(PacsException) as raised:
        server_context(tls) if isinstance(tls, ServerTls) else client_context(tls)
    return raised.value


def test_a_missing_file_is_named(pki: Pki, tmp_path: Path) -> None:
    """Which of the three it is stands in the message and in the details."""
    missing = tmp_path / "missing.pem"
    for tls, what in (
        (attrs.evolve(pki.server_tls, certificate=missing), "TLS certificate"),
        (attrs.evolve(pki.server_tls, private_key=missing), "TLS private key"),
        (attrs.evolve(pki.server_tls, client_ca=missing), "TLS CA file"),
        (ClientTls(missing), "TLS CA file"),
    ):
        error = _loaded(tls).error
        assert error.code is ErrorCode.FILE_NOT_FOUND
        assert error.message == f"the {what} {missing} does not exist"
        assert error.details == {"path": str(missing)}


def test_what_cannot_be_read_is_named(pki: Pki, tmp_path: Path) -> None:
    """A folder in place of a file, or a name that no file can have."""
    for path in (tmp_path, Path("a\0b")):
        error = _loaded(attrs.evolve(pki.server_tls, private_key=path)).error
        assert error.code is ErrorCode.FILE_READ_FAILED
        assert error.message.startswith(f"the TLS private key {path} cannot be read: ")


def test_a_key_of_another_certificate_is_recognised(pki: Pki) -> None:
    """The message names both files."""
    error = _loaded(ServerTls(pki.server.certificate, pki.client.private_key)).error
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert error.message == (
        f"the private key {pki.client.private_key} does not belong to the certificate "
        f"{pki.server.certificate}"
    )


def test_a_file_that_is_no_pem_is_recognised(pki: Pki, tmp_path: Path) -> None:
    """DER, and an empty CA file: the message says which lines are looked for."""
    der = tmp_path / "server.der"
    der.write_bytes(pki.server.certificate_der)
    error = _loaded(attrs.evolve(pki.server_tls, certificate=der)).error
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert "BEGIN CERTIFICATE" in error.message
    empty = tmp_path / "empty.pem"
    empty.touch()
    error = _loaded(ClientTls(empty)).error
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert "holds no certificate in PEM" in error.message


def test_an_encrypted_key_needs_its_password(pki: Pki) -> None:
    """None, a wrong one, the right one; nobody is asked on the terminal, and none is shown."""
    made = pki.ca.issue("encrypted", password="open sesame")
    tls = ServerTls(made.certificate, made.private_key)
    error = _loaded(tls).error
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert error.message == f"the private key {made.private_key} is encrypted; give its password"
    error = _loaded(attrs.evolve(tls, password="wrong")).error
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert error.message == f"the password does not open the private key {made.private_key}"
    right = attrs.evolve(tls, password="open sesame")
    server_context(right)
    assert "sesame" not in repr(right)


def test_a_short_rsa_key_is_refused(pki: Pki) -> None:
    """RFC 9325 4.5 wants 2048 bits."""
    made = pki.ca.issue("short", rsa_bits=1024)
    error = _loaded(ServerTls(made.certificate, made.private_key)).error
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert "RSA needs 2048 bits" in error.message


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: ClientTls(certificate=Path("a.pem")), id="no-key"),
        pytest.param(lambda: ClientTls(private_key=Path("a.key")), id="no-certificate"),
        pytest.param(lambda: ClientTls(server_hostname=" "), id="blank-name"),
        pytest.param(lambda: ClientTls(server_hostname=".example"), id="no-name"),
        pytest.param(lambda: ServerTls("a", "b", handshake_timeout_s=0), id="no-time"),
        pytest.param(lambda: ServerTls("a", "b", handshake_timeout_s=float("nan")), id="nan"),
        pytest.param(lambda: ServerTls("a", "b", handshake_timeout_s=1e9), id="too-long"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(make: Callable[[], object]) -> None:
    """An object that exists is a valid one."""
    with pytest.raises(PacsException) as raised:
        make()
    assert raised.value.error.code is ErrorCode.INVALID_CONFIGURATION


# -- renewal ---------------------------------------------------------------------------------------


@attrs.define
class Renewal:
    """A server's certificate in files of its own, and what watches them."""

    pki: Pki
    tls: ServerTls
    clock: FakeClock
    logger: RecordingLogger
    context: ServerTlsContext

    def install(self, identity: Identity) -> None:
        """Replace both files, as a renewal does."""
        for new, old in (
            (identity.private_key, self.tls.private_key),
            (identity.certificate, self.tls.certificate),
        ):
            copy = old.with_suffix(".new")
            copy.write_bytes(new.read_bytes())
            copy.replace(old)

    def serves(self) -> str:
        """Name whose certificate a new connection is shown."""
        tls = attrs.evolve(self.pki.client_tls, check_hostname=False)
        with open_line() as line:
            serving = line.serve(self.context.current())
            facts = line.call(tls).facts
            serving.result(TIMEOUT_S)
        assert facts is not None
        return facts.peer_subject


@pytest.fixture
def renewal(pki: Pki, tmp_path: Path) -> Renewal:
    """Install the server's certificate in a folder of its own."""
    certificate, private_key = tmp_path / "live.pem", tmp_path / "live.key"
    certificate.write_bytes(pki.server.certificate.read_bytes())
    private_key.write_bytes(pki.server.private_key.read_bytes())
    tls, clock, logger = ServerTls(certificate, private_key), FakeClock(), RecordingLogger()
    return Renewal(pki, tls, clock, logger, ServerTlsContext(tls, clock=clock, logger=logger))


def test_a_renewed_certificate_serves_the_next_connection(renewal: Renewal) -> None:
    """It is noticed after a second, without a restart; files that stay the same are not read."""
    first = renewal.context.current()
    assert renewal.serves() == "CN=server"
    renewal.clock.advance(1)
    assert renewal.context.current() is first
    renewal.install(renewal.pki.ca.issue("renewed"))
    assert renewal.context.current() is first  # not looked at more than once a second
    renewal.clock.advance(1)
    assert renewal.serves() == "CN=renewed"
    assert renewal.logger.events == ("tls-certificate-reloaded",)


def test_a_file_of_the_same_age_and_size_is_noticed(renewal: Renewal) -> None:
    """A renewal that keeps the times of the files has another inode."""
    before = renewal.tls.certificate.stat()
    renewal.install(renewal.pki.server)
    os.utime(renewal.tls.certificate, ns=(before.st_atime_ns, before.st_mtime_ns))
    first = renewal.context.current()
    renewal.clock.advance(1)
    assert renewal.context.current() is not first


def test_a_failing_renewal_keeps_the_old_certificate(renewal: Renewal) -> None:
    """The reason is logged once however often it is tried; once it works, it is used."""
    renewed = renewal.pki.ca.issue("renewed-late")
    renewal.tls.certificate.write_bytes(renewed.certificate.read_bytes())  # and the key not yet
    for _ in range(3):
        renewal.clock.advance(1)
        assert renewal.serves() == "CN=server"
    assert list(renewal.logger.events) == ["tls-certificate-not-reloaded"]
    assert "does not belong to the certificate" in str(renewal.logger.entries[0].fields["reason"])
    renewal.tls.certificate.unlink()
    renewal.clock.advance(1)
    assert renewal.serves() == "CN=server"
    assert "does not exist" in str(renewal.logger.entries[1].fields["reason"])
    renewal.install(renewed)
    renewal.clock.advance(1)
    assert renewal.serves() == "CN=renewed-late"
    assert list(renewal.logger.events[2:]) == ["tls-certificate-reloaded"]


def test_a_reload_can_be_asked_for(renewal: Renewal) -> None:
    """It doesn't wait for the second, and says what is wrong."""
    first = renewal.context.current()
    assert renewal.context.reload() == Success(renewal.context)
    second = renewal.context.current()
    assert second is not first
    renewal.tls.private_key.unlink()
    match renewal.context.reload():
        case Failure(error):
            assert error.code is ErrorCode.FILE_NOT_FOUND
        case _:
            pytest.fail("a key that is missing was loaded")
    assert renewal.context.current() is second


def test_files_have_to_be_good_at_the_start(tmp_path: Path) -> None:
    """Without a certificate there is nothing to keep."""
    with pytest.raises(PacsException) as raised:
        ServerTlsContext(ServerTls(tmp_path / "a.pem", tmp_path / "a.key"))
    assert raised.value.error.code is ErrorCode.FILE_NOT_FOUND
