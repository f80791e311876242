"""The TLS handshake on real sockets: who is let in, who is refused, and in which words."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import warnings
from collections.abc import Iterator
from concurrent.futures import Future

import attrs
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.network.connection.tls_transport import TlsTransport
from pacs_sdk.network.connection.transport import WokenUp
from pacs_sdk.network.pdu import AAbort
from pacs_sdk.network.pdu_codec import encode_pdu
from pacs_sdk.network.pdu_reasons import AbortReason, AbortSource
from pacs_sdk.network.tls import ClientTls, ServerTls, TlsProfile
from pacs_sdk.network.tls.failures import (
    HandshakeFailure,
    explain_clear_text,
    explain_failure,
    offered_version,
)
from pacs_sdk.network.tls.settings import client_context, server_context
from tests.network.helpers import REQUEST
from tests.network.tls_peers import HOST, TIMEOUT_S, Line, Pki, open_line, wrapped_client


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Issue certificates for this module."""
    return Pki.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def line() -> Iterator[Line]:
    """Connect two sockets."""
    with open_line() as line:
        yield line


def _failure(serving: Future[TlsTransport]) -> PacsError:
    with pytest.raises(PacsException) as raised:
        serving.result(TIMEOUT_S)
    return raised.value.error


def _is(error: PacsError, cause: HandshakeFailure) -> bool:
    return error.code is ErrorCode.TLS_HANDSHAKE_FAILED and error.details == {"cause": cause.value}


# -- who is let in ---------------------------------------------------------------------------------


def test_two_sides_agree_and_say_on_what(line: Line, pki: Pki) -> None:
    """The newest version both have; the client learns who the server is, not the reverse."""
    near, far = line.secure(pki.server_tls, pki.client_tls)
    assert far.facts is not None
    assert near.facts is not None
    assert far.facts.version == near.facts.version == "TLSv1.3"
    assert far.facts.cipher == near.facts.cipher
    assert far.facts.cipher.startswith("TLS_")
    assert far.facts.peer_subject == "CN=server"
    digest = hashlib.sha256(pki.server.certificate_der).hexdigest()
    assert far.facts.peer_certificate_fingerprint_sha256 == digest
    assert near.facts.peer_subject == near.facts.peer_certificate_fingerprint_sha256 == ""


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_with_mutual_authentication_the_server_knows_the_client(
    line: Line, pki: Pki, version: str
) -> None:
    """Its subject is RFC 4514 text: last part first, escaped, short names where there are any."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Radiologie, Süd + Nord"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "#7"),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, "42"),
            x509.NameAttribute(NameOID.COMMON_NAME, " CT\n1 "),
        ]
    )
    client = pki.ca.issue("scanner", subject=subject)
    profile = TlsProfile.EXTENDED if version == "TLSv1.2" else TlsProfile.BCP_195
    near, _ = line.secure(pki.mutual_tls, attrs.evolve(pki.as_client(client), profile=profile))
    assert near.facts is not None
    assert near.facts.version == version
    expected = r"CN=\ CT\0a1\ ,serialNumber=42,OU=\#7,O=Radiologie\, Süd \+ Nord,C=DE"
    assert near.facts.peer_subject == expected
    digest = hashlib.sha256(client.certificate_der).hexdigest()
    assert near.facts.peer_certificate_fingerprint_sha256 == digest


def test_single_certificates_can_be_trusted_instead_of_their_ca(line: Line, pki: Pki) -> None:
    """Each side knows the other one by its certificate, and nobody else that the CA vouches for."""
    scanner, other = pki.ca.issue("scanner"), pki.ca.issue("other")
    server = attrs.evolve(pki.mutual_tls, client_ca=scanner.certificate)
    client = attrs.evolve(pki.as_client(scanner), ca=pki.server_tls.certificate)
    near, _ = line.secure(server, client)
    assert near.facts is not None
    assert "scanner" in near.facts.peer_subject
    with open_line() as another:
        serving = another.serve(server)
        another.call(pki.as_client(other))
        assert _is(_failure(serving), HandshakeFailure.CERTIFICATE)


def test_dhe_serves_peers_without_elliptic_curves(line: Line, pki: Pki) -> None:
    """B.10 and B.11 demand DHE of 2048 bits or more: the server has a group for it."""
    rsa = pki.ca.issue("server-rsa", rsa_bits=2048)
    tls = ServerTls(rsa.certificate, rsa.private_key, profile=TlsProfile.EXTENDED)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("DHE-RSA-AES256-GCM-SHA384")
    serving = line.serve(tls)
    with wrapped_client(line, context) as client:
        facts = serving.result(TIMEOUT_S).facts
        assert facts is not None
        assert facts.cipher == "DHE-RSA-AES256-GCM-SHA384"
        assert client.version() == "TLSv1.2"


# -- whom the server refuses -----------------------------------------------------------------------


@pytest.mark.parametrize("profile", [TlsProfile.EXTENDED, TlsProfile.BCP_195])
def test_a_client_without_a_certificate_is_refused(
    line: Line, pki: Pki, profile: TlsProfile
) -> None:
    """Both sides say so; with TLS 1.3 the client learns it when it first reads."""
    serving = line.serve(pki.mutual_tls)
    try:
        far = line.call(attrs.evolve(pki.client_tls, profile=profile))
        with pytest.raises(OSError, match="a certificate of ours"):
            far.receive(memoryview(bytearray(10)), TIMEOUT_S)
    except PacsException as exc:
        assert profile is TlsProfile.EXTENDED
        assert "a certificate of ours" in exc.error.message  # noqa: PT017  # or the other way
    error = _failure(serving)
    assert _is(error, HandshakeFailure.CERTIFICATE)
    assert error.message == (
        "the peer showed no certificate, and mutual authentication is demanded of it"
    )


def test_a_client_of_another_ca_is_refused(line: Line, pki: Pki) -> None:
    """The client hears that it is its certificate."""
    serving = line.serve(pki.mutual_tls)
    far = line.call(pki.as_client(pki.stranger))
    with pytest.raises(OSError, match="the peer does not trust our certificate"):
        far.receive(memoryview(bytearray(10)), TIMEOUT_S)
    error = _failure(serving)
    assert _is(error, HandshakeFailure.CERTIFICATE)
    assert error.message.startswith("the peer's certificate is not trusted: ")


def test_a_revocation_list_in_the_ca_file_is_heeded(line: Line, pki: Pki) -> None:
    """Who is on it is refused, and told so; others come in."""
    lost = pki.ca.issue("lost")
    listed = attrs.evolve(pki.mutual_tls, client_ca=pki.ca.trusted_with_crl("listed", lost))
    serving = line.serve(listed)
    far = line.call(pki.as_client(lost))
    with pytest.raises(OSError, match="does not accept our certificate: it has been revoked"):
        far.receive(memoryview(bytearray(10)), TIMEOUT_S)
    error = _failure(serving)
    assert _is(error, HandshakeFailure.CERTIFICATE)
    assert error.message == "the peer's certificate has been revoked"
    with open_line() as another:
        near, _ = another.secure(listed, pki.as_client(pki.client))
        assert near.facts is not None


@pytest.mark.parametrize(("days", "words"), [(0, "is not current"), (1, "is not known")])
def test_without_a_current_revocation_list_nobody_is_trusted(
    line: Line, pki: Pki, days: int, words: str
) -> None:
    """Where there are lists, one that has ended, or is missing for a CA, keeps its clients out."""
    file = pki.ca.trusted_with_crl("outdated", days=days)
    with file.open("ab") as appended:
        appended.write(pki.other_ca.certificate.read_bytes())
    serving = line.serve(attrs.evolve(pki.mutual_tls, client_ca=file))
    line.call(pki.as_client(pki.stranger if days else pki.client))
    error = _failure(serving)
    assert _is(error, HandshakeFailure.CERTIFICATE)
    assert words in error.message


def test_a_client_heeds_a_revocation_list_too(line: Line, pki: Pki) -> None:
    """A server whose key was stolen cannot pass itself off any more."""
    listed = attrs.evolve(pki.client_tls, ca=pki.ca.trusted_with_crl("servers", pki.server))
    line.serve(pki.server_tls)
    with pytest.raises(PacsException) as caught:
        line.call(listed)
    assert caught.value.error.message.endswith("the peer's certificate has been revoked")


def test_a_refusal_arrives_although_the_client_has_sent_more(line: Line, pki: Pki) -> None:
    """A request that follows the handshake at once is read, so that closing resets nothing."""
    near = TlsTransport(line.near, server_context(pki.mutual_tls))
    line.opened.append(near)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context(pki.client_tls).wrap_bio(incoming, outgoing, server_hostname=HOST)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    line.far.sendall(outgoing.read())  # ClientHello
    near._wait_readable(TIMEOUT_S)
    assert not near._try_handshake()
    incoming.write(line.far.recv(1 << 16))  # ServerHello to Finished
    client.do_handshake()
    client.write(encode_pdu(REQUEST))
    line.far.sendall(outgoing.read())  # no certificate, Finished, and the request
    with pytest.raises(PacsException):
        near.handshake(TIMEOUT_S)
    near.close()
    while data := line.far.recv(1 << 16):  # until the end, which is no reset
        incoming.write(data)
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
        client.read(1)


def _old_client(line: Line, version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that is what this is about
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"), wrapped_client(line, context):
        pass


@pytest.mark.parametrize(
    ("profile", "version", "name"),
    [
        (TlsProfile.BCP_195, ssl.TLSVersion.TLSv1, "TLS 1.0"),
        (TlsProfile.NON_DOWNGRADING, ssl.TLSVersion.TLSv1_1, "TLS 1.1"),
        (TlsProfile.EXTENDED, ssl.TLSVersion.TLSv1_1, "TLS 1.1"),
        (TlsProfile.TLS_1_3_ONLY, ssl.TLSVersion.TLSv1_2, "TLS 1.2"),
    ],
)
def test_a_client_of_an_old_version_is_refused(
    line: Line, pki: Pki, profile: TlsProfile, version: ssl.TLSVersion, name: str
) -> None:
    """The log names the version that it has, so that one knows what to update."""
    serving = line.serve(attrs.evolve(pki.server_tls, profile=profile))
    _old_client(line, version)
    error = _failure(serving)
    assert _is(error, HandshakeFailure.VERSION)
    assert error.message == f"the peer offered only {name}, which our profile forbids"


def test_a_client_without_a_suite_of_the_profile_is_refused(line: Line, pki: Pki) -> None:
    """CBC suites are in no profile of today."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    serving = line.serve(pki.server_tls)
    with pytest.raises(ssl.SSLError), wrapped_client(line, context):
        pass
    error = _failure(serving)
    assert _is(error, HandshakeFailure.CIPHER_SUITE)
    assert error.message == "the peer offered no cipher suite that our profile allows"


# -- whom the client refuses -----------------------------------------------------------------------


def _refused_server(line: Line, server: ServerTls, client: ClientTls, host: str = HOST) -> str:
    serving = line.serve(server)
    with pytest.raises(PacsException) as raised:
        line.call(client, host)
    assert _is(raised.value.error, HandshakeFailure.CERTIFICATE)
    assert _failure(serving).code is ErrorCode.TLS_HANDSHAKE_FAILED
    return raised.value.error.message


def test_a_server_of_another_ca_is_refused(line: Line, pki: Pki) -> None:
    """The client says what to do about it; the server hears that it is its certificate."""
    serving = line.serve(pki.server_tls)
    with pytest.raises(PacsException) as raised:
        line.call(ClientTls(pki.other_ca.certificate))
    assert raised.value.error.message.startswith("the peer's certificate is not trusted: ")
    assert raised.value.error.message.endswith("; add its CA to the CA file")
    assert _failure(serving).message == (
        "the peer does not trust our certificate: it does not know the CA"
    )


def test_an_expired_certificate_is_refused(line: Line, pki: Pki) -> None:
    """It is told apart from one that was never trusted."""
    expired = pki.ca.issue("expired", days=0)
    words = _refused_server(
        line, ServerTls(expired.certificate, expired.private_key), pki.client_tls
    )
    assert words.endswith("has expired; have it renewed")


@pytest.mark.parametrize("host", ["pacs.example", "127.0.0.2"])
def test_a_certificate_for_another_host_is_refused(line: Line, pki: Pki, host: str) -> None:
    """By name and by address; the message names the host that was called."""
    words = _refused_server(line, pki.server_tls, pki.client_tls, host)
    assert words.startswith("the peer's certificate is for another host: ")
    assert host in words


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"server_hostname": "localhost"}, id="another-name"),
        pytest.param({"check_hostname": False}, id="any-name"),
    ],
)
def test_a_server_behind_another_name_can_be_called(
    line: Line, pki: Pki, changes: dict[str, str | bool]
) -> None:
    """By the name in its certificate, or, where a site wants it so, by any."""
    serving = line.serve(pki.server_tls)
    client = attrs.evolve(pki.client_tls, **changes)  # type: ignore[arg-type]  # names vary
    assert line.call(client, "pacs.example").facts is not None
    serving.result(TIMEOUT_S)


def test_what_is_no_host_name_is_refused(line: Line, pki: Pki) -> None:
    """The connection is closed, as after any other failure."""
    with pytest.raises(PacsException) as raised:
        line.call(pki.client_tls, "a" * 70 + ".example")
    assert raised.value.error.code is ErrorCode.INVALID_ARGUMENT
    assert line.near.recv(1) == b""


# -- peers that speak no TLS -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "cause", "words"),
    [
        pytest.param(
            encode_pdu(REQUEST),
            HandshakeFailure.CLEAR_DICOM,
            "the peer spoke no TLS: it sent an A-ASSOCIATE-RQ in clear; switch TLS on at both "
            "sides, or use the port for DICOM without TLS",
            id="DICOM",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n",
            HandshakeFailure.NOT_TLS,
            "the peer spoke no TLS: it sent HTTP in clear",
            id="HTTP",
        ),
        pytest.param(
            b"\x00\x01\xff" * 10,
            HandshakeFailure.NOT_TLS,
            "the peer spoke no TLS: what it sent begins with the bytes "
            "00 01 ff 00 01 ff 00 01 ff 00 01",
            id="garbage",
        ),
        pytest.param(
            b"\x16\x00\x00\xff\xff" + bytes(100),
            HandshakeFailure.NOT_TLS,
            "the peer spoke no TLS: what it sent is no TLS record",
            id="almost-TLS",
        ),
    ],
)
def test_a_client_that_speaks_no_tls_is_recognised(
    line: Line, pki: Pki, sent: bytes, cause: HandshakeFailure, words: str
) -> None:
    """The commonest mistake, a modality without TLS on the port with it, is called by its name."""
    line.far.sendall(sent)
    with pytest.raises(PacsException) as raised:
        line.serve_here(pki.server_tls)
    assert _is(raised.value.error, cause)
    assert raised.value.error.message == words
    assert line.near.fileno() == -1


def test_a_connection_that_says_nothing_is_told_apart(line: Line, pki: Pki) -> None:
    """Load balancers and port scans connect and close."""
    line.far.close()
    with pytest.raises(PacsException) as raised:
        line.serve_here(pki.server_tls)
    assert _is(raised.value.error, HandshakeFailure.CLOSED)
    assert raised.value.error.message == "the peer closed the connection without a word"


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        pytest.param(b"", "the peer began no TLS within 0.05 s", id="silence"),
        pytest.param(
            b"\x16\x03\x01", "the peer did not finish the TLS handshake within 0.05 s", id="a-part"
        ),
    ],
)
def test_a_client_that_never_finishes_has_its_time(
    line: Line, pki: Pki, sent: bytes, words: str
) -> None:
    """It is that of the whole handshake."""
    line.far.sendall(sent)
    with pytest.raises(PacsException) as raised:
        line.serve_here(pki.server_tls, 0.05)
    assert raised.value.error == PacsError(ErrorCode.NETWORK_TIMEOUT, words)


def test_a_stop_ends_the_handshake(line: Line, pki: Pki) -> None:
    """A hundred silent clients don't hold up a server that is to stop."""
    serving = line.serve(pki.server_tls)
    line.wake()
    with pytest.raises(WokenUp):
        serving.result(TIMEOUT_S)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", "not-tls", id="HTTP"),
        pytest.param(
            encode_pdu(AAbort(AbortSource.SERVICE_PROVIDER, AbortReason.UNRECOGNIZED_PDU)),
            "clear-dicom",
            id="DICOM",
        ),
        pytest.param(b"", "closed", id="closes"),
    ],
)
def test_a_server_that_speaks_no_tls_is_recognised(
    line: Line, pki: Pki, answer: bytes, cause: str
) -> None:
    """A DICOM server without TLS takes a ClientHello for an unrecognized PDU and aborts."""
    line.near.sendall(answer)
    line.near.shutdown(socket.SHUT_WR)
    with pytest.raises(PacsException) as raised:
        line.call(pki.client_tls)
    assert raised.value.error.code is ErrorCode.TLS_HANDSHAKE_FAILED
    assert raised.value.error.details == {"cause": cause}


@pytest.mark.parametrize("answer", [b"A\x03\x03\0\5hello", b"\x14\x03\x03\0\1\1", b"SSH"])
def test_a_server_that_speaks_almost_tls_is_recognised(line: Line, pki: Pki, answer: bytes) -> None:
    """Whatever OpenSSL calls it, an answer that begins with no ServerHello is named by its bytes."""
    line.near.sendall(answer)
    line.near.shutdown(socket.SHUT_WR)
    with pytest.raises(PacsException) as raised:
        line.call(pki.client_tls)
    assert _is(raised.value.error, HandshakeFailure.NOT_TLS)
    assert answer[:3].hex(" ") in raised.value.error.message


class _QuickServer:
    """A server whose answers are there before OpenSSL, at the client, has returned."""

    def __init__(self, near: socket.socket, tls: ServerTls) -> None:
        self._near = near
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = server_context(tls)
        self._server = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def answer(self) -> None:
        """Answer all that the client has sent so far."""
        with contextlib.suppress(BlockingIOError):
            self._incoming.write(self._near.recv(65536, socket.MSG_DONTWAIT))
        with contextlib.suppress(ssl.SSLWantReadError):
            self._server.do_handshake()
        self._near.sendall(self._outgoing.read())


@pytest.mark.parametrize("profile", [TlsProfile.EXTENDED, TlsProfile.BCP_195])
def test_a_server_may_answer_at_once(
    line: Line, pki: Pki, profile: TlsProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the client then finds first on the socket is the server's second answer."""
    server = _QuickServer(line.near, pki.server_tls)
    handshake = ssl.SSLSocket.do_handshake

    def with_quick_answers(client: ssl.SSLSocket) -> None:
        for _ in range(2):
            try:
                return handshake(client)
            except ssl.SSLWantReadError:
                server.answer()
        raise ssl.SSLWantReadError

    monkeypatch.setattr(ssl.SSLSocket, "do_handshake", with_quick_answers)
    client = line.call(attrs.evolve(pki.client_tls, profile=profile))
    assert client.facts is not None
    assert client.facts.peer_subject == "CN=server"


def test_a_connection_that_is_gone_is_no_crash(line: Line, pki: Pki) -> None:
    """The socket may have been reset before TLS is begun: words, and it is closed."""
    line.near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line.near.close()
    with pytest.raises(PacsException) as raised:
        line.call(pki.client_tls)
    assert _is(raised.value.error, HandshakeFailure.CLOSED)
    assert raised.value.error.message == "the peer was gone before TLS was begun"
    assert line.far.fileno() == -1


def test_a_server_is_told_of_a_connection_that_is_gone(line: Line, pki: Pki) -> None:
    """As the system says it; the server logs it and closes the socket."""
    line.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    line.far.close()
    with pytest.raises(OSError, match="not connected"):
        line.serve_here(pki.server_tls)
    assert line.near.fileno() != -1


# -- words -----------------------------------------------------------------------------------------


def test_the_first_bytes_tell_what_the_peer_speaks() -> None:
    """One byte is enough for DICOM; handshake and alert records are left to OpenSSL."""
    assert explain_clear_text(b"\x16\x03\x01") is None
    assert explain_clear_text(b"\x15\x03\x01") is None
    found = explain_clear_text(b"\x01")
    assert found is not None
    assert found[0] is HandshakeFailure.CLEAR_DICOM
    found = explain_clear_text(b"\x01\x02")  # PS3.8 9.3.2: the second byte is 0
    assert found is not None
    assert found[0] is HandshakeFailure.NOT_TLS


def test_the_version_of_a_client_hello_is_found() -> None:
    """RFC 8446 4.1.2: after record header (5 bytes), message type (1) and length (3)."""
    hello = bytes((0x16, 3, 1, 0, 100, 1, 0, 0, 96, 3, 2))
    assert offered_version(hello) == "TLS 1.1"
    assert offered_version(hello[:10]) is None
    assert offered_version(hello[:10] + b"\x09") is None


def _ssl_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}]")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("reason", "cause", "words"),
    [
        ("SSLV3_ALERT_BAD_CERTIFICATE", HandshakeFailure.CERTIFICATE, "bad certificate"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", HandshakeFailure.CERTIFICATE, "has expired"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", HandshakeFailure.VERSION, "none of the TLS versions"),
        ("TLSV1_ALERT_INTERNAL_ERROR", HandshakeFailure.OTHER, "internal error"),
        ("UNSUPPORTED_PROTOCOL", HandshakeFailure.VERSION, "only TLS 1.1 or older"),
        ("DH_KEY_TOO_SMALL", HandshakeFailure.CIPHER_SUITE, "2048 bits"),
        ("BAD_EXTENSION", HandshakeFailure.OTHER, "TLS failed: "),
    ],
)
def test_what_openssl_says_is_put_into_words(
    reason: str, cause: HandshakeFailure, words: str
) -> None:
    """The peer's alerts are told apart from our own reasons."""
    found, said = explain_failure(_ssl_error(reason))
    assert found is cause
    assert words in said


def test_a_certificate_that_is_not_valid_yet_points_to_the_clocks() -> None:
    """Modalities with an empty battery live in 2000."""
    error = ssl.SSLCertVerificationError(1, "verify failed")
    error.verify_code, error.verify_message = 9, "certificate is not yet valid"
    _, said = explain_failure(error)
    assert said == "the peer's certificate is not valid yet; check the clocks of both sides"
    error.verify_code, error.verify_message = 66, "EE certificate key too weak"
    _, said = explain_failure(error)
    assert said.endswith("too weak (RFC 9325 4.5): EE certificate key too weak")


def test_a_context_of_a_server_keeps_no_sessions(pki: Pki) -> None:
    """A session that is resumed would outlive a change of the CA."""
    context = server_context(pki.server_tls)
    assert context.num_tickets == 0
    assert context.options & ssl.OP_NO_TICKET
