"""What a client learns of TLS only after its handshake, which with TLS 1.3 ends before the server's."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable

import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.network import ConnectStep, Peer, connect
from pacs_sdk.network.tls.failures import HandshakeFailure
from pacs_sdk.network.tls.settings import server_context
from pacs_sdk.services import PeerState, VerificationScu
from tests.network.servers import CONTEXTS, PATIENT
from tests.network.tls_peers import Pki


@pytest.fixture(scope="module", name="pki")
def _pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Make certificates once."""
    return Pki.make(tmp_path_factory.mktemp("pki"))


def _close(connected: ssl.SSLSocket) -> None:
    connected.close()


def _reset(connected: ssl.SSLSocket) -> None:
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connected.close()


class _Refusing:
    """A server that demands a certificate of one CA, and is gone when it has said so."""

    def __init__(self, pki: Pki, leave: Callable[[ssl.SSLSocket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._context = server_context(pki.mutual_tls)
        self._leave = leave
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with self._listener:
            connected, _ = self._listener.accept()
        wrapped = self._context.wrap_socket(
            connected, server_side=True, do_handshake_on_connect=False
        )
        with contextlib.suppress(ssl.SSLError):
            wrapped.do_handshake()
        self._leave(wrapped)

    def is_gone(self, step: object = None) -> None:
        """Wait until it has left."""
        if step in (None, ConnectStep.SECURED):
            self._thread.join(10)
            assert not self._thread.is_alive()


@pytest.mark.parametrize("leave", [_close, _reset])
def test_a_refusal_by_tls_is_told_as_one(pki: Pki, leave: Callable[[ssl.SSLSocket], None]) -> None:
    """Though the request can't be sent any more, or is answered by a reset."""
    server = _Refusing(pki, leave)
    peer = Peer("127.0.0.1", server.port, "FAR", pki.as_client(pki.stranger))
    error = connect(peer, "TESTER", CONTEXTS, timeouts=PATIENT, on_step=server.is_gone).failure()
    assert error.code is ErrorCode.TLS_HANDSHAKE_FAILED
    assert error.details["cause"] == HandshakeFailure.CERTIFICATE
    assert error.message == (
        f"FAR at 127.0.0.1 port {server.port}: the peer does not trust our certificate: "
        "it does not know the CA"
    )


def test_a_health_check_says_that_tls_failed(pki: Pki) -> None:
    """And not that the peer aborted, which is another thing to look for."""
    server = _Refusing(pki, _close)
    peer = Peer("127.0.0.1", server.port, "FAR", pki.client_tls)
    health = VerificationScu(timeouts=PATIENT).check(peer).unwrap()
    server.is_gone()
    assert health.state is PeerState.TLS_FAILED
    assert "demands a certificate of ours" in health.reason
